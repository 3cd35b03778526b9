"""The rows of what is forgotten, out of the catalog in one transaction; who shared a frame with it moves to another.

The transaction also writes down what is left to scrub from the disk (:class:`Pending`), so that a process that dies
after it leaves an order behind that the next one carries out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from sqlalchemy import Connection, func, select

from cem_rag_app.schema import HitKind
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary, general_dictionary
from stores.catalog.chunks import AT_ONCE, NewChunk, Position, deleted_after, locations, position
from stores.catalog.conversation import MessageRow, keep_messages, turns_of_messages
from stores.catalog.items import read_rows_by_key, remove_items
from stores.catalog.notes import get_value, set_value
from stores.catalog.tables import KIND_NAMES, chunks, dictionaries, feedback, memory_state, packs
from stores.deletion import delete_chunks
from stores.forgetting.selection import Targets
from stores.forgetting.traces import Traces, forget_preferences, forget_records, pieces_of
from stores.frames import CURRENT_DICTIONARY, FrameStore
from stores.ingest import SEPARATOR
from stores.packing import PACKED_THROUGH, TRAINED_AT, TRAINED_THROUGH
from stores.tail import open_record, open_texts

FORGOTTEN = "forgotten"
"""State key: how often something was forgotten; who learned from the memory or keeps its files open looks here."""

PENDING = "forgetting"
"""State key: what is still to be scrubbed from the disk; no such key when nothing is."""

RECORD_LIMIT = 1 << 28

Prepare = Callable[[HitKind, str, int, Compressor, float], NewChunk]
"""Compress a text: kind, text, dictionary key, its compressor, time."""


@dataclass(frozen=True, slots=True)
class Pending:
    """What a forgetting still has to scrub.

    Attributes:
        packs_through: the last pack that may hold a forgotten frame; 0 when none does.
        dictionaries: keys of dictionaries that may hold pieces of what is forgotten.
    """

    packs_through: int
    dictionaries: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Erased:
    """What a transaction removed; the fields as in :class:`stores.forgetting.forget.ForgetReport`."""

    messages: int
    items: int
    chunks: int
    moved_messages: int
    records: int
    marks: int
    preferences: int


def load_pending(connection: Connection) -> Pending | None:
    """What an earlier forgetting left to scrub."""
    stored = get_value(connection, PENDING)
    return None if stored is None else Pending(stored["packs_through"], tuple(stored["dictionaries"]))


def clear_pending(connection: Connection) -> None:
    """Write down that nothing is left to scrub."""
    connection.execute(memory_state.delete().where(memory_state.c.key == PENDING))


def times_forgotten(connection: Connection) -> int:
    """How often something was forgotten."""
    return int(get_value(connection, FORGOTTEN) or 0)


class Eraser:
    """Removes rows; the caller holds the writer lock.

    Args:
        frames: the memory's frames.
        prepare: compresses the text of those who stay.
        limit: bytes that a chunk may expand to.
    """

    def __init__(self, frames: FrameStore, prepare: Prepare, *, limit: int) -> None:
        self._frames = frames
        self._prepare = prepare
        self._limit = limit

    def compress_survivors(self, connection: Connection, targets: Targets) -> dict[int, NewChunk]:
        """The chunks that those need who shared one with something forgotten, by the id of the chunk they leave.

        Done before the transaction: opening and compressing takes long, and a chat waits for a transaction.
        """
        key, compressor = self._frames.compressor()
        ready: dict[int, NewChunk] = {}
        wanted = list(targets.survivors)
        for start in range(0, len(wanted), AT_ONCE):
            some = wanted[start : start + AT_ONCE]
            rows = connection.execute(select(chunks.c.chunk_id, chunks.c.kind).where(chunks.c.chunk_id.in_(some)))
            kinds = {row.chunk_id: row.kind for row in rows}
            for chunk_id, text in open_texts(self._frames, some, limit=self._limit).items():
                staying = targets.survivors[chunk_id]
                joined = SEPARATOR.join(row.with_text(text).text for row in staying)
                ready[chunk_id] = self._prepare(
                    KIND_NAMES[kinds[chunk_id]], joined, key, compressor, staying[-1].message.timestamp
                )
        return ready

    def erase(self, connection: Connection, targets: Targets, ready: dict[int, NewChunk]) -> Erased:
        """Remove what is forgotten, all in the caller's transaction.

        Args:
            connection: a transaction.
            targets: looked up in this transaction.
            ready: from :meth:`compress_survivors`; what has become of the catalog since is made up for here.

        Raises:
            MemoryCorruptError: a frame that is needed is damaged.
        """
        message_ids = sorted(targets.message_ids)
        turn_ids = turns_of_messages(connection, message_ids)
        pieces = pieces_of(self._texts(targets))
        pending = self._left_to_scrub(connection, targets)
        marks = _count_marks(connection, message_ids)
        missing = {chunk_id: rows for chunk_id, rows in targets.survivors.items() if chunk_id not in ready}
        if missing:
            ready = ready | self.compress_survivors(connection, replace(targets, survivors=missing))
        for chunk_id, staying in targets.survivors.items():
            keep_messages(connection, chunk_id, ready[chunk_id], staying)
        documents = list(read_rows_by_key(connection, targets.item_keys))
        for start in range(0, len(targets.chunk_ids), AT_ONCE):
            some = targets.chunk_ids[start : start + AT_ONCE]
            delete_chunks(connection, self._frames, some, limit=self._limit)
        remove_items(connection, documents)
        traces = Traces(targets.message_ids, frozenset(targets.chunk_ids), turn_ids, pieces)
        records = forget_records(connection, traces, lambda frame: open_record(frame, limit=RECORD_LIMIT))
        changed = forget_preferences(connection, traces)
        set_value(connection, PENDING, asdict(pending))
        set_value(connection, FORGOTTEN, times_forgotten(connection) + 1)
        return Erased(
            messages=len(message_ids),
            items=len(targets.item_keys),
            chunks=len(targets.chunk_ids),
            moved_messages=sum(len(rows) for rows in targets.survivors.values()),
            records=records,
            marks=marks,
            preferences=changed,
        )

    def _texts(self, targets: Targets) -> Sequence[str]:
        """The forgotten texts, as far as it matters: no more of them than will be looked for one by one."""
        texts: list[str] = []
        for start in range(0, len(targets.chunk_ids), AT_ONCE):
            some = targets.chunk_ids[start : start + AT_ONCE]
            for chunk_id, text in open_texts(self._frames, some, limit=self._limit).items():
                texts.append(_without_survivors(text, targets.survivors.get(chunk_id, ())))
            if pieces_of(texts) is None:
                break
        return texts

    def _left_to_scrub(self, connection: Connection, targets: Targets) -> Pending:
        """Where on the disk the forgotten frames and their pieces may be; asked before the rows are removed.

        A message that was just said lies in the catalog alone, and no dictionary has learned from it yet. What was
        deleted or replaced before lies in the packs all the same, and may be an earlier state of what is forgotten now.
        """
        current = int(get_value(connection, CURRENT_DICTIONARY))
        trained = int(get_value(connection, TRAINED_AT) or 0) > 0
        through = _position(connection, TRAINED_THROUGH)
        used: set[int] = set()
        packed = _deleted_since(connection, _position(connection, PACKED_THROUGH))
        learned = trained and _deleted_since(connection, through)
        for start in range(0, len(targets.chunk_ids), AT_ONCE):
            rows = locations(connection, targets.chunk_ids[start : start + AT_ONCE]).values()
            used.update(row.dictionary_key for row in rows)
            packed |= any(row.pack_number is not None for row in rows)
            learned |= trained and any(row.chunk_id <= through.chunk_id for row in rows)
        own = {current} if learned else set()
        shipped = _shipped_digests()
        # A dictionary that came with its frames was trained on texts that nobody here knows.
        foreign = {
            row.dictionary_key
            for row in connection.execute(select(dictionaries.c.dictionary_key, dictionaries.c.digest))
            if row.dictionary_key in used and row.dictionary_key != current and row.digest not in shipped
        }
        last_pack = connection.execute(select(func.max(packs.c.pack_number))).scalar() or 0
        return Pending(int(last_pack) if packed else 0, tuple(sorted(own | foreign)))


def _position(connection: Connection, key: str) -> Position:
    """A position kept in the state; where none is, nothing is known, and every chunk may have been met."""
    stored = get_value(connection, key)
    return Position(position(connection).chunk_id, 0) if stored is None else Position(**stored)


def _deleted_since(connection: Connection, through: Position) -> bool:
    """Whether one of the chunks up to a position has been deleted since."""
    deleted = deleted_after(connection, through.deletion)
    missing = position(connection).deletion - through.deletion > len(deleted)  # the log has been cut
    return missing or any(chunk_id <= through.chunk_id for chunk_id in deleted)


def _without_survivors(text: str, staying: Sequence[MessageRow]) -> str:
    pieces = []
    at = 0
    for row in staying:
        pieces.append(text[at : row.start])
        at = row.start + row.length
    return "\n".join((*pieces, text[at:]))


def _count_marks(connection: Connection, message_ids: Sequence[int]) -> int:
    total = 0
    for start in range(0, len(message_ids), AT_ONCE):
        some = message_ids[start : start + AT_ONCE]
        statement = select(func.count()).select_from(feedback).where(feedback.c.message_id.in_(some))
        total += int(connection.execute(statement).scalar_one())
    return total


def _shipped_digests() -> set[str]:
    return {Dictionary(b"").digest, general_dictionary("zh").digest, general_dictionary("en").digest}
