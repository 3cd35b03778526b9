"""A memory: one folder, one facade over its catalog, packs, vector index and full-text index. Thread-safe."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cem_rag_app.cem.pair import Encoders, FrameEncoder, QueryEncoder
from cem_rag_app.errors import DiskFullError, MemoryBusyError, StoreError
from cem_rag_app.persona.rules import HardRules
from cem_rag_app.schema import Hit, MemoryItem, Message, Query, Role
from cem_rag_app.settings import Settings
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary
from stores import search as searching
from stores.building import Builder, BuildReport
from stores.catalog import conversation as conversations
from stores.catalog import notes
from stores.catalog.database import Database
from stores.checking import CheckReport, check_memory
from stores.creation import create_catalog, open_catalog
from stores.deletion import delete_items
from stores.embedding import Embedder
from stores.files import writer_lock
from stores.forgetting.erasing import times_forgotten
from stores.forgetting.forget import ForgetReport, Forgetter
from stores.forgetting.selection import Selection
from stores.frames import FrameStore, dictionary_exists
from stores.hits import HitOpener
from stores.ingest import ImportReport, Ingest
from stores.lexical.index import LexicalIndex
from stores.live_index import LiveIndex
from stores.profile import EncoderFactory, MemoryProfile, Progress, matched, start_dictionary
from stores.status import memory_status
from stores.tail import NO_DICTIONARY, open_messages, open_record

__all__ = [
    "BuildReport",
    "CheckReport",
    "EncoderFactory",
    "Encoders",
    "ForgetReport",
    "FrameEncoder",
    "ImportReport",
    "Memory",
    "MemoryProfile",
    "QueryEncoder",
    "Selection",
]

_log = logging.getLogger(__name__)

RECORD_LIMIT = 1 << 28
"""Bytes a turn's record may expand to: it holds every line that was recalled, and is written by this class alone."""
SAVE_ON_CLOSE_FROM = 1_000
"""Chunks embedded outside a build that are worth saving when a memory is closed."""


class Memory:
    """See the module docstring; make one with :meth:`create` or :meth:`open`."""

    def __init__(
        self, path: Path, database: Database, profile: MemoryProfile, encoders: EncoderFactory, settings: Settings
    ) -> None:
        self.path = path
        self.profile = profile
        self.settings = settings
        self.database = database
        self._factory = encoders
        self._encoders: Encoders | None = None
        self._lock = threading.RLock()
        self.frames = FrameStore(path, database, settings.pack.level)
        embedder = Embedder(self.frames, self.encoders)
        self.index = LiveIndex(path / "index", database, embedder, settings.index, settings.codes)
        self._opener = HitOpener(database, self.frames, settings.segment, chunk_limit=settings.pack.chunk_limit)
        self._ingest = Ingest(database, self.frames, settings.pack)
        self.lexical = LexicalIndex(path / "lexical", database)
        self._builder = Builder(path, database, self.frames, self.index, self.lexical, settings.pack)
        self._records = Compressor(NO_DICTIONARY, settings.pack.level)
        start = start_dictionary(profile.language)
        self._forgetter = Forgetter(
            path, database, self.frames, self.index, self.lexical, settings, start, self._ingest.prepare
        )
        self._noticed = self.forgotten

    @classmethod
    def create(
        cls, path: str | Path, profile: MemoryProfile, *, encoders: EncoderFactory, settings: Settings
    ) -> Memory:
        """Make a memory in a folder that holds none; the folder is made when it is missing.

        Raises:
            MemoryExistsError: the folder already holds a memory.
            DictionaryError: no general dictionary of the language is shipped.
            DiskFullError: no space is left.
        """
        return cls(Path(path), create_catalog(Path(path), profile), profile, encoders, settings)

    @classmethod
    def open(cls, path: str | Path, *, encoders: EncoderFactory, settings: Settings) -> Memory:
        """Open a memory. Nothing but its catalog is read yet.

        Raises:
            MemoryMissingError: there is none in the folder.
            MemoryVersionError: a newer release made it.
            MemoryCorruptError: its catalog is damaged.
        """
        database, profile = open_catalog(Path(path))
        memory = cls(Path(path), database, profile, encoders, settings)
        memory._forgetter.finish_interrupted()
        return memory

    @property
    def rules(self) -> HardRules | None:
        """The hard rules of the person, immutable (I8); None for a memory of documents."""
        return self.profile.persona

    def encoders(self) -> Encoders:
        """The two encoders, made at the first call.

        Raises:
            CheckpointError: they are not halves of one space.
            DimensionError: their vectors differ in size.
        """
        with self._lock:
            if self._encoders is None:
                self._encoders = matched(self._factory(self.profile.encoder))
            return self._encoders

    def import_messages(self, messages: Iterable[Message], progress: Progress | None = None) -> ImportReport:
        """Store a history: exchanges, compressed. Durable batch by batch; importing it again adds nothing.

        Args:
            messages: in order of speech.
            progress: ``progress("import", done, 0)`` after each batch.

        Raises:
            MemoryBusyError: another import, build or compaction is running.
            InputError: a message that cannot be stored.
            DiskFullError: no space is left; what was reported before is stored.
        """
        with writer_lock(self.path):
            return self._ingest.messages(messages, progress)

    def import_items(self, items: Iterable[MemoryItem], progress: Progress | None = None) -> ImportReport:
        """Store documents, split into chunks at sentence ends. A known id with another content is replaced.

        Args:
            items: documents; ``mem_id`` names them.
            progress: ``progress("import", done, 0)`` after each batch.

        Raises:
            MemoryBusyError: another import, build or compaction is running.
            InputError: a document that cannot be stored.
            DiskFullError: no space is left; what was reported before is stored.
        """
        with writer_lock(self.path):
            return self._ingest.items(items, progress)

    def add_compressed(
        self,
        frames: Sequence[bytes],
        dictionary: Dictionary,
        items: Sequence[MemoryItem],
        *,
        terms: Sequence[str | None] | None = None,
        raw_sizes: Sequence[int] | None = None,
    ) -> None:
        """Store frames as they are, one document each; a known id is replaced. Durable when it returns.

        Args:
            frames: (n) zpkg frames.
            dictionary: what they were compressed with.
            items: (n) the documents' ids, sources, times and metadata; their ``text`` is left empty.
            terms: (n) search terms; without them the documents are found by vector alone.
            raw_sizes: (n) bytes of the texts, for `status`.

        Raises:
            FrameError: one of them is no zpkg frame; nothing is stored.
            DictionaryError: the dictionary is none; nothing is stored.
            DiskFullError: no space is left; nothing is stored.
        """
        count = len(frames)
        self._ingest.frames(frames, dictionary, items, terms or [None] * count, raw_sizes or [0] * count)

    def delete_items(self, item_ids: Sequence[str] | None = None) -> int:
        """Delete documents by id, all of them with None; returns how many there were. Unknown ids are no error."""
        with self.database.write() as connection:
            return delete_items(connection, self.frames, item_ids, limit=self.settings.pack.chunk_limit)

    def build(
        self, *, limit: int = 0, batch_size: int = 24, index: str = "auto", progress: Progress | None = None
    ) -> BuildReport:
        """Pack, embed and index what is missing; a killed build resumes.

        Args:
            limit: chunks embedded at most; 0 is all.
            batch_size: chunks given to the encoder at once.
            index: ``auto`` (the setting, which goes by size) or a kind of :data:`stores.indexes.base.IndexName`.
            progress: called with the stages ``pack`` and ``embed``.

        Raises:
            MemoryBusyError: another import, build or compaction is running.
            DiskFullError: no space is left; the memory is as it was.
            MemoryCorruptError: a frame is damaged.
        """
        wanted = self.settings.index if index == "auto" else index
        with writer_lock(self.path):
            self._notice_forgetting()
            self._forgetter.finish(progress)
            return self._builder.run(limit=limit, batch_size=batch_size, index=wanted, progress=progress)

    def compact(self, progress: Progress | None = None) -> BuildReport:
        """Write everything anew: packs without gaps, an index without dead entries, files without free space.

        Raises:
            MemoryBusyError: another import, build or compaction is running.
            DiskFullError: no space is left; the memory is as it was.
            MemoryCorruptError: a frame is damaged.
        """
        with writer_lock(self.path):
            self._notice_forgetting()
            self._forgetter.finish(progress)
            return self._builder.run(batch_size=256, index=self.settings.index, force=True, progress=progress)

    def forget(self, what: Selection, progress: Progress | None = None) -> ForgetReport:
        """Forget for good: nothing in the folder keeps any of it (docs/forgetting.md).

        No answer holds it as soon as its rows are gone, in every process; then the files are written anew. What is
        interrupted is finished by the next open or build.

        Raises:
            MemoryBusyError: another import, build or compaction is running, and nothing was forgotten; or another
                process still reads what was there before, and the database file keeps pages of it for so long.
            DiskFullError, MemoryCorruptError: what stops a compaction stops this.
        """
        with writer_lock(self.path):
            self._notice_forgetting()
            try:
                return self._forgetter.run(what, progress)
            finally:
                self._noticed = self.forgotten

    def matching(self, what: Selection) -> ForgetReport:
        """What a selection would forget; nothing is changed."""
        return self._forgetter.matching(what)

    @property
    def forgotten(self) -> int:
        """How often something was forgotten: what was learned at another number is to be learned again."""
        with self.database.read() as connection:
            return times_forgotten(connection)

    def remember(self, message: Message, *, turn_id: str, position: int) -> Message:
        """Store one message of a running conversation; returns it with its id once it is on disk.

        The next recall finds it, in every process. Calling again with the same place changes nothing and returns
        what is stored.

        Args:
            message: what was said.
            turn_id: the turn it belongs to.
            position: its place in the turn.

        Raises:
            InputError: it cannot be stored.
            DiskFullError: no space is left; nothing was stored.
        """
        while True:
            key, compressor = self.frames.compressor()
            chunk = self._ingest.prepare("online", message.text, key, compressor, message.timestamp)
            with self.database.write() as connection:
                stored = conversations.message_of_turn(connection, turn_id, position)
                if stored is not None:
                    break
                if dictionary_exists(connection, key):
                    (kept,) = conversations.add_exchanges(
                        connection, [(chunk, [message])], turn_id=turn_id, position=position
                    )
                    return kept
        return open_messages(self.frames, [stored], limit=self.settings.pack.chunk_limit)[0]

    def recall(self, query: Query) -> list[Hit]:
        """The k best memories, opened; the rest of the memory stays compressed.

        The score is .72 semantic + .18 lexical + .10 recency for a chat, .6 semantic + .4 lexical for documents
        (settings.recall). ``query.filters`` is explained in
        :mod:`stores.filters`; ``{"before_message_id": n}`` leaves out what was said from message n on.

        Raises:
            FilterError: a filter that cannot be understood.
            MemoryCorruptError: a frame that is needed is damaged.
        """
        self._notice_forgetting()
        found = searching.search(
            query,
            self.database,
            self.index,
            self.lexical,
            self.encoders().query,
            self.settings.recall,
            kind=self.profile.kind,
        )
        return self._opener.open(found, query.k)

    def recent(self, limit: int, conversation: str = "default", before_id: int | None = None) -> list[Message]:
        """The last messages of a conversation, or the last before one of them; oldest first."""
        with self.database.read() as connection:
            rows = conversations.messages_before(connection, conversation, limit, before_id)
        return open_messages(self.frames, rows, limit=self.settings.pack.chunk_limit)

    def sample_messages(self, role: Role, limit: int) -> list[Message]:
        """Up to ``limit`` messages of one side, spread evenly over the imported history, in its order."""
        with self.database.read() as connection:
            rows = conversations.sample_rows(connection, role, limit)
        return open_messages(self.frames, rows, limit=self.settings.pack.chunk_limit)

    def mark(self, message_id: int, good: bool) -> None:
        """Mark a message as good, or take the mark back.

        Raises:
            StoreError: there is no such message.
        """
        with self.database.write() as connection:
            if not conversations.message_exists(connection, message_id):
                raise StoreError(f"There is no message {message_id}.", remedy="Take an id from GET /api/messages.")
            notes.set_mark(connection, message_id, good, time.time())

    def marks(self) -> list[int]:
        """Ids of the messages marked as good, in the order of marking."""
        with self.database.read() as connection:
            return notes.marked_messages(connection)

    def save_record(self, turn_id: str, record: dict[str, Any]) -> None:
        """Keep what happened in a turn, compressed; the last record of a turn wins."""
        frame = self._records.compress(json.dumps(record, ensure_ascii=False).encode())
        with self.database.write() as connection:
            notes.store_record(connection, turn_id, frame)

    def record(self, turn_id: str) -> dict[str, Any] | None:
        """What happened in a turn, None when nothing was kept."""
        with self.database.read() as connection:
            frame = notes.load_record(connection, turn_id)
        if frame is None:
            return None
        found: dict[str, Any] = json.loads(open_record(frame, limit=RECORD_LIMIT))
        return found

    def get_state(self, key: str) -> Any:
        """A mutable preference (JSON), None when it was never set."""
        with self.database.read() as connection:
            return notes.get_preference(connection, key)

    def set_state(self, key: str, value: Any) -> None:
        """Set a mutable preference (JSON). The hard rules are elsewhere and cannot be reached from here (I8)."""
        with self.database.write() as connection:
            notes.set_preference(connection, key, value)

    def status(self) -> dict[str, Any]:
        """Counts, sizes in bytes, and how far the index follows; needs no encoder."""
        return memory_status(self.path, self.database, self.profile)

    def check(self) -> CheckReport:
        """Verify every file; reads all of them and changes none."""
        return check_memory(self.path, self.database, self.frames, chunk_limit=self.settings.pack.chunk_limit)

    def close(self) -> None:
        """Close files and connections; saves the index when much was embedded outside a build and nobody writes."""
        with self._lock:
            if self.index.unsaved >= SAVE_ON_CLOSE_FROM:
                try:
                    with writer_lock(self.path):
                        self._notice_forgetting()
                        if self.index.unsaved:
                            self.index.save()
                except (MemoryBusyError, DiskFullError) as error:
                    _log.info("The index was not saved at closing; the next open catches up. %s", error)
            self.lexical.close()
            self.frames.close()
            self.database.close()

    def _notice_forgetting(self) -> None:
        """Let go of files and vectors that hold what another process has forgotten since."""
        now = self.forgotten
        if now != self._noticed:
            self._noticed = now
            self.frames.release()
            self.index.drop()

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
