"""Writing: text to frames to catalog rows, in batches that are each durable, each text stored once and compressed."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from cem_rag_app.chunking import split_text
from cem_rag_app.errors import EncodingError, InputError
from cem_rag_app.persona.exchanges import exchanges
from cem_rag_app.schema import HitKind, MemoryItem, Message
from cem_rag_app.settings import PackSettings
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary
from cem_rag_app.zpkg.frame import check_frame
from stores.catalog.chunks import NewChunk
from stores.catalog.conversation import add_exchanges, known_source_ids
from stores.catalog.database import Database
from stores.catalog.items import NewItem, add_items, known_items
from stores.deletion import delete_items
from stores.frames import FrameStore, add_dictionary
from stores.lexical.tokens import stored_terms
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
            add_exchanges(connection, [(chunk, group) for group, chunk in prepared])
        return sum(len(group) for group, _ in prepared)

    def _store_items(self, batch: Sequence[MemoryItem]) -> ImportReport:
        key, compressor = self._frames.compressor()
        latest = {item.mem_id: item for item in batch}
        with self._database.read() as connection:
            known = known_items(connection, list(latest))
        new = [
            NewItem(
                item,
                digest,
                [
                    self.prepare("document", part, key, compressor, item.created_at)
                    for part in split_text(item.text, self._settings.chunk_target) or [""]
                ],
            )
            for item in latest.values()
            if known.get(item.mem_id, (0, None))[1] != (digest := fingerprint(item))
        ]
        with self._database.write() as connection:
            replaced = self._replace(connection, new)
        return ImportReport(added=len(new) - replaced, duplicates=len(batch) - len(new), replaced=replaced)

    def _replace(self, connection: Connection, new: Sequence[NewItem]) -> int:
        """Store documents in place of those that have their ids; returns how many there were."""
        replaced = delete_items(
            connection, self._frames, [one.item.mem_id for one in new], limit=self._settings.chunk_limit
        )
        add_items(connection, new)
        return replaced

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
            known = known_items(connection, [item.mem_id for item in described])
            new: dict[str, NewItem] = {}
            for item, frame, stored, size in zip(described, frames, terms, raw_sizes, strict=True):
                whole = hashlib.blake2b(frame + dictionary.digest.encode() + _content(item), digest_size=16).digest()
                digest = int.from_bytes(whole[:8], "little", signed=True)
                new.pop(item.mem_id, None)
                if known.get(item.mem_id, (0, None))[1] != digest:
                    chunk = NewChunk("document", frame, key, size, item.created_at, stored)
                    new[item.mem_id] = NewItem(item, digest, [chunk])
            self._replace(connection, list(new.values()))

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


def fingerprint(item: MemoryItem) -> int:
    """A signed 64-bit number that differs when anything of a document differs."""
    return int.from_bytes(_content(item)[:8], "little", signed=True)


def _content(item: MemoryItem) -> bytes:
    content = json.dumps([item.text, item.source, item.created_at, item.meta], sort_keys=True, default=str)
    return hashlib.blake2b(content.encode(errors="surrogatepass"), digest_size=16).digest()


def _sum(one: ImportReport, other: ImportReport) -> ImportReport:
    return ImportReport(one.added + other.added, one.duplicates + other.duplicates, one.replaced + other.replaced)
