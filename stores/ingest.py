"""Writing: text to frames to catalog rows, in batches that are each durable, each text stored once and compressed."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from cem_rag_app.chunking import split_text
from cem_rag_app.errors import EncodingError, InputError
from cem_rag_app.persona.exchanges import exchanges
from cem_rag_app.schema import HitKind, MemoryItem, Message
from cem_rag_app.settings import PackSettings
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary
from cem_rag_app.zpkg.frame import check_frame
from stores.catalog.chunks import AT_ONCE, NewChunk, add_chunk, chunk_ids_of_items
from stores.catalog.conversation import add_messages, known_source_ids
from stores.catalog.database import Database
from stores.catalog.lexical import stored_terms
from stores.catalog.tables import items
from stores.deletion import delete_chunks
from stores.frames import FrameStore, add_dictionary
from stores.profile import Progress

BATCH = 256
"""Exchanges or documents a transaction: each costs one sync of the disk."""

SEPARATOR = "\n"
"""Between the messages of a chunk. Where each begins and ends is in the catalog, so they may hold newlines."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did: messages or documents."""

    added: int = 0
    duplicates: int = 0
    replaced: int = 0
    """Documents that were known with another content."""


class Ingest:
    """Imports into one memory; the caller holds the writer lock."""

    def __init__(self, database: Database, frames: FrameStore, settings: PackSettings) -> None:
        self._database = database
        self._frames = frames
        self._settings = settings

    def messages(self, source: Iterable[Message], progress: Progress | None) -> ImportReport:
        """Store messages as exchanges. Importing the same ones again stores nothing twice.

        Raises:
            InputError: a message that cannot be stored; the batches before it are.
            DiskFullError: no space is left; the batches before are stored.
        """
        added = duplicates = 0
        spoken = named(source)
        while batch := list(itertools.islice(spoken, BATCH * 16)):
            with self._database.read() as connection:
                known = known_source_ids(connection, ((m.source, m.source_id) for m in batch))
            fresh = [m for m in batch if (m.source, m.source_id) not in known]
            duplicates += len(batch) - len(fresh)
            groups = list(exchanges(fresh))
            for start in range(0, len(groups), BATCH):
                added += self._store_exchanges(groups[start : start + BATCH])
                if progress is not None:
                    progress("import", added + duplicates, 0)
        return ImportReport(added=added, duplicates=duplicates)

    def items(self, source: Iterable[MemoryItem], progress: Progress | None) -> ImportReport:
        """Store documents, split into chunks. A known id with another content replaces the old one.

        Raises:
            InputError: a document that cannot be stored; the batches before it are.
            DiskFullError: no space is left; the batches before are stored.
        """
        report = ImportReport()
        stream = iter(source)
        while batch := list(itertools.islice(stream, BATCH)):
            report = _sum(report, self._store_items(batch))
            if progress is not None:
                progress("import", report.added + report.duplicates + report.replaced, 0)
        return report

    def _store_exchanges(self, groups: Sequence[tuple[Message, ...]]) -> int:
        key, compressor = self._frames.compressor()
        prepared = [
            (
                group,
                self.prepare("segment", SEPARATOR.join(m.text for m in group), key, compressor, group[-1].timestamp),
            )
            for group in groups
        ]
        with self._database.write() as connection:
            for group, chunk in prepared:
                add_messages(connection, add_chunk(connection, chunk), group)
        return sum(len(group) for group, _ in prepared)

    def _store_items(self, batch: Sequence[MemoryItem]) -> ImportReport:
        key, compressor = self._frames.compressor()
        latest = {item.mem_id: item for item in batch}
        with self._database.read() as connection:
            known = _known_items(connection, list(latest))
        fresh = {
            item_id: (item, fingerprint(item), known.get(item_id))
            for item_id, item in latest.items()
            if item_id not in known or known[item_id][1] != fingerprint(item)
        }
        prepared = {
            item_id: [
                self.prepare("document", part, key, compressor, item.created_at)
                for part in split_text(item.text, self._settings.chunk_target) or [""]
            ]
            for item_id, (item, _, _) in fresh.items()
        }
        replaced = 0
        with self._database.write() as connection:
            for item_id, (item, digest, old) in fresh.items():
                if old is not None:
                    replaced += 1
                    gone = chunk_ids_of_items(connection, [old[0]])
                    delete_chunks(connection, self._frames, gone, limit=self._settings.chunk_limit)
                item_key = put_item(connection, item, digest)
                for part, chunk in enumerate(prepared[item_id]):
                    add_chunk(connection, replace(chunk, item_key=item_key, part=part))
        return ImportReport(added=len(fresh) - replaced, duplicates=len(batch) - len(fresh), replaced=replaced)

    def frames(
        self,
        frames: Sequence[bytes],
        dictionary: Dictionary,
        described: Sequence[MemoryItem],
        terms: Sequence[str | None],
        raw_sizes: Sequence[int],
    ) -> None:
        """Store one compressed chunk a document; a known id is replaced. One transaction; no lock but SQLite's.

        Args:
            frames: (n) zpkg frames.
            dictionary: what they were compressed with.
            described: (n) documents without text.
            terms: (n) search terms, None where the text is not known.
            raw_sizes: (n) bytes of the texts, 0 where not known.

        Raises:
            FrameError: one of them is no zpkg frame; nothing is stored.
            InputError: metadata that is no JSON; nothing is stored.
        """
        for frame in frames:
            check_frame(frame)
        with self._database.write() as connection:
            key = add_dictionary(connection, dictionary, current=False)
            known = _known_items(connection, [item.mem_id for item in described])
            for item, frame, stored, size in zip(described, frames, terms, raw_sizes, strict=True):
                digest = hashlib.blake2b(
                    frame + dictionary.digest.encode() + fingerprint(item), digest_size=16
                ).digest()
                if item.mem_id in known:
                    item_key, old = known[item.mem_id]
                    if old == digest:
                        continue
                    gone = chunk_ids_of_items(connection, [item_key])
                    delete_chunks(connection, self._frames, gone, limit=self._settings.chunk_limit)
                item_key = put_item(connection, item, digest)
                known[item.mem_id] = (item_key, digest)
                add_chunk(connection, NewChunk("document", frame, key, size, item.created_at, stored, item_key))

    def prepare(self, kind: HitKind, text: str, key: int, compressor: Compressor, timestamp: float) -> NewChunk:
        """Compress one text.

        Raises:
            EncodingError: it holds half a surrogate pair, which no encoding can store.
            InputError: it is longer than a chunk may be.
        """
        try:
            raw = text.encode()
        except UnicodeEncodeError as error:
            raise EncodingError(
                f"A text holds a character that cannot be stored ({error.reason}): {text[:40]!r}.",
                remedy="Read the file with its real encoding.",
            ) from error
        if len(raw) > self._settings.chunk_limit:
            raise InputError(
                f"A text of {len(raw):,} bytes is longer than a chunk may be ({self._settings.chunk_limit:,}).",
                remedy="Split it, import it as a document, or raise the setting pack.chunk_limit.",
            )
        return NewChunk(kind, compressor.compress(raw), key, len(raw), timestamp, stored_terms(text))


def joined(group: Sequence[Message]) -> str:
    """The text of a chunk that holds these messages."""
    return SEPARATOR.join(message.text for message in group)


def named(source: Iterable[Message]) -> Iterator[Message]:
    """Messages with a source id each, and none twice.

    A source without ids is told apart by content and by count: the third identical line of a history is the third
    one again when the history is imported again.
    """
    seen: set[tuple[str, str]] = set()
    same: Counter[str] = Counter()
    for message in source:
        named_message = message
        if not message.source_id:
            content = json.dumps(
                [message.conversation, message.role, message.speaker, message.timestamp, message.text]
            ).encode()
            digest = hashlib.blake2b(content, digest_size=12).hexdigest()
            same[digest] += 1
            named_message = replace(message, source_id=f"{digest}.{same[digest]}")
        key = (named_message.source, named_message.source_id)
        if key not in seen:
            seen.add(key)
            yield named_message


def fingerprint(item: MemoryItem) -> bytes:
    """16 bytes that differ when anything of a document differs."""
    content = json.dumps([item.text, item.source, item.created_at, item.meta], sort_keys=True, default=str)
    return hashlib.blake2b(content.encode(errors="surrogatepass"), digest_size=16).digest()


def put_item(connection: Connection, item: MemoryItem, digest: bytes) -> int:
    """Insert a document's row, or bring it up to date; returns its key.

    Raises:
        InputError: its metadata is no JSON.
    """
    try:
        metadata = json.dumps(item.meta, ensure_ascii=False) if item.meta else None
    except (TypeError, ValueError) as error:
        raise InputError(
            f"The metadata of {item.mem_id!r} cannot be stored ({error}).",
            remedy="Use strings, numbers, true, false, null, lists and objects.",
        ) from error
    values = {"source": item.source, "created_at": item.created_at, "metadata": metadata, "fingerprint": digest}
    key: int | None = connection.execute(select(items.c.item_key).where(items.c.item_id == item.mem_id)).scalar()
    if key is None:
        return int(connection.execute(items.insert().values(item_id=item.mem_id, **values)).lastrowid)
    connection.execute(items.update().where(items.c.item_key == key).values(**values))
    return key


def _known_items(connection: Connection, item_ids: Sequence[str]) -> dict[str, tuple[int, bytes]]:
    known: dict[str, tuple[int, bytes]] = {}
    for start in range(0, len(item_ids), AT_ONCE):
        statement = select(items.c.item_id, items.c.item_key, items.c.fingerprint).where(
            items.c.item_id.in_(item_ids[start : start + AT_ONCE])
        )
        known.update((row.item_id, (row.item_key, row.fingerprint)) for row in connection.execute(statement))
    return known


def _sum(one: ImportReport, other: ImportReport) -> ImportReport:
    return ImportReport(one.added + other.added, one.duplicates + other.duplicates, one.replaced + other.replaced)
