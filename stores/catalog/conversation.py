"""Messages: who said what and when. What was said lies compressed in the chunk that covers it.

The messages of a chunk have ids in a row (those that are left of them, where some were forgotten), the first of them
starts at 0 and no other does: an index of these firsts alone finds the messages of a chunk.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from cem_rag_app.schema import Message, Role
from stores.catalog.checksums import row_checksum
from stores.catalog.chunks import NewChunk, add_chunks
from stores.catalog.facets import add_facets, message_facets, remove_facets
from stores.catalog.identifiers import TAIL, Identifier, packed, unpacked
from stores.catalog.raw import raw_cursor
from stores.catalog.tables import KIND_NAMES

_AT_ONCE = 400
_LARGEST_ID = (1 << 63) - 1
_OF_TURN = b""
"""Stored for a source id that is the turn's id, a colon and the position."""

_COLUMNS = (
    "SELECT m.message_id, m.chunk_id, m.start, m.length, v.role, v.speaker, v.source, c.conversation, m.timestamp,"
    " m.source_id, t.turn_id, m.position, m.checksum FROM messages m"
    # CROSS: messages come first, whatever SQLite guesses of tables it has no statistics of.
    " CROSS JOIN voices v ON v.voice_key = m.voice_key"
    " CROSS JOIN conversations c ON c.conversation_key = m.conversation_key"
    " LEFT JOIN turns t ON t.turn_key = m.turn_key"
)
_OF_CONVERSATION = "m.conversation_key = (SELECT conversation_key FROM conversations WHERE conversation = ?)"
_TURN = f"SELECT turn_key FROM turns WHERE substr(turn_id, -{TAIL}) = substr(?1, -{TAIL}) AND turn_id = ?1"  # noqa: S608 - a constant
_KNOWN = (
    "SELECT 1 FROM messages m JOIN voices v ON v.voice_key = m.voice_key WHERE length(m.source_id) > 0"  # noqa: S608
    f" AND substr(m.source_id, -{TAIL}) = substr(?1, -{TAIL}) AND m.source_id = ?1 AND v.source = ?2"
)


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message without its text, and where that lies: ``length`` characters from ``start`` in the chunk's text."""

    message: Message
    chunk_id: int
    start: int
    length: int

    def with_text(self, chunk_text: str) -> Message:
        """The message as it was written, cut from its chunk."""
        return replace(self.message, text=chunk_text[self.start : self.start + self.length])


def add_exchanges(
    connection: Connection,
    groups: Sequence[tuple[NewChunk, Sequence[Message]]],
    *,
    turn_id: str | None = None,
    position: int | None = None,
) -> list[Message]:
    """Store chunks and the messages each covers, whose text is theirs joined by newlines.

    Args:
        connection: a transaction.
        groups: chunks and their messages, at least one each.
        turn_id: the turn that all of them belong to, if they belong to one.
        position: the place in it.

    Returns:
        The messages with their ids.
    """
    first = add_chunks(connection, [chunk for chunk, _ in groups])
    cursor = raw_cursor(connection)
    last = cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = 'messages'").fetchone()
    numbers = itertools.count(1 if last is None else int(last[0]) + 1)
    keys = _Keys(connection)
    turn_key = None if turn_id is None else keys.of_turn(turn_id)
    stored, rows, listed = [], [], []
    for chunk_id, (chunk, spoken) in enumerate(groups, first):
        start, exchange = 0, []
        for message in spoken:
            numbered = replace(message, message_id=next(numbers))
            form: Identifier | None = packed(message.source_id) if message.source_id else None
            if turn_id is not None and message.source_id == f"{turn_id}:{position}":
                form = _OF_TURN
            voice = keys.of_voice(message.role, message.speaker, message.source)
            conversation = keys.of_conversation(message.conversation)
            length = len(message.text)
            exchange.append((MessageRow(numbered, chunk_id, start, length), voice, conversation, form))
            stored.append(numbered)
            start += length + 1
        checksum = exchange_checksum([(row, turn_id, position) for row, _, _, _ in exchange])
        for row, voice, conversation, form in exchange:
            message = row.message
            place = (message.message_id, chunk_id, row.start, row.length)
            rows.append(
                (
                    *place,
                    voice,
                    conversation,
                    message.timestamp,
                    form,
                    turn_key,
                    position,
                    checksum if row.start == 0 else None,
                )
            )
        found = message_facets(chunk.kind, chunk.timestamp, ((m.source, m.conversation) for m in spoken))
        listed.append((chunk_id, 1, found))
    cursor.executemany("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    add_facets(connection, listed)
    return stored


def exchange_checksum(rows: Iterable[tuple[MessageRow, str | None, int | None]]) -> int:
    """Over the messages of one chunk, their speakers, and the turn and position of each."""
    values: list[Any] = []
    for row, turn_id, position in rows:
        m = row.message
        values += [m.message_id, row.chunk_id, row.start, row.length, m.role, m.speaker, m.conversation]
        values += [float(m.timestamp), m.source, m.source_id, turn_id, position]
    return row_checksum(*values)


def stored_exchanges(connection: Connection) -> Iterator[tuple[list[tuple[MessageRow, str | None, int | None]], Any]]:
    """All messages, chunk by chunk as they follow one another, each chunk's with the checksum that was stored."""
    rows = raw_cursor(connection).execute(f"{_COLUMNS} ORDER BY m.message_id")
    for _, group in itertools.groupby(rows, key=lambda row: row[1]):
        exchange = list(group)
        yield [(_message_row(row), *_turn_of(row)) for row in exchange], exchange[0][-1]


def keep_messages(connection: Connection, chunk_id: int, chunk: NewChunk, staying: Sequence[MessageRow]) -> int:
    """Let some messages of a chunk be covered by a new chunk, which holds them and nothing else; the others go.

    They keep their ids and marks. The old chunk is left without messages and facets, for the caller to delete.

    Args:
        connection: a transaction.
        chunk_id: the chunk they leave.
        chunk: its text is theirs joined by newlines.
        staying: messages of the old chunk, at least one, in order.

    Returns:
        The id of the new chunk.
    """
    _unlist(connection, chunk_id)
    kept = {row.message.message_id for row in staying}
    _delete(connection, [row for row in messages_of_chunk(connection, chunk_id) if row.message.message_id not in kept])
    new_id = add_chunks(connection, [chunk])
    cursor = raw_cursor(connection)
    places, start = [], 0
    for row in staying:
        places.append((new_id, start, row.message.message_id))
        start += row.length + 1
    # The old chunk's first message may be gone: the others are found by their ids alone.
    cursor.executemany("UPDATE messages SET chunk_id = ?, start = ?, checksum = NULL WHERE message_id = ?", places)
    exchange = [(_message_row(row), *_turn_of(row)) for row in _rows_of_chunk(connection, new_id)]
    cursor.execute(
        "UPDATE messages SET checksum = ? WHERE message_id = ?",
        (exchange_checksum(exchange), staying[0].message.message_id),
    )
    spoken = [(row.message.source, row.message.conversation) for row in staying]
    add_facets(connection, [(new_id, 1, message_facets(chunk.kind, chunk.timestamp, spoken))])
    return new_id


def remove_messages(connection: Connection, chunk_id: int) -> None:
    """Remove the messages of a chunk and its facets; nothing happens where it has none."""
    _unlist(connection, chunk_id)
    _delete(connection, messages_of_chunk(connection, chunk_id))


def known_source_ids(connection: Connection, wanted: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Which of these (source, source id) pairs are already stored."""
    cursor = raw_cursor(connection)
    known: set[tuple[str, str]] = set()
    for source, source_id in wanted:
        turn_id, _, position = source_id.rpartition(":")
        if cursor.execute(_KNOWN, (packed(source_id), source)).fetchone() or (
            turn_id
            and position.isascii()
            and position.isdecimal()
            and (row := message_of_turn(connection, turn_id, int(position))) is not None
            and (row.message.source, row.message.source_id) == (source, source_id)
        ):
            known.add((source, source_id))
    return known


def message_of_turn(connection: Connection, turn_id: str, position: int) -> MessageRow | None:
    """The message stored for a place of a turn, if it is."""
    cursor = raw_cursor(connection)
    turn = cursor.execute(_TURN, (packed(turn_id),)).fetchone()
    return None if turn is None else _one(connection, "m.turn_key = ? AND m.position = ?", turn[0], position)


def turns_of_messages(connection: Connection, message_ids: Iterable[int]) -> set[str]:
    """The turns that messages were said in; imported ones were said in none."""
    cursor = raw_cursor(connection)
    statement = "SELECT t.turn_id FROM messages m JOIN turns t ON t.turn_key = m.turn_key WHERE m.message_id = ?"
    return {unpacked(row[0]) for number in message_ids for row in cursor.execute(statement, (number,))}


def messages_of_chunk(connection: Connection, chunk_id: int) -> list[MessageRow]:
    """The messages of one chunk in order."""
    return [_message_row(row) for row in _rows_of_chunk(connection, chunk_id)]


def messages_before(
    connection: Connection, conversation: str, limit: int, before_id: int | None = None
) -> list[MessageRow]:
    """The last messages of a conversation, or the last before one of them; oldest first."""
    bound = _LARGEST_ID if before_id is None else before_id
    condition = f"{_OF_CONVERSATION} AND m.message_id < ? ORDER BY m.message_id DESC LIMIT ?"
    return _rows(connection, condition, conversation, bound, limit)[::-1]


def messages_after(connection: Connection, conversation: str, limit: int, after_id: int) -> list[MessageRow]:
    """The next messages of a conversation, in order."""
    condition = f"{_OF_CONVERSATION} AND m.message_id > ? ORDER BY m.message_id LIMIT ?"
    return _rows(connection, condition, conversation, after_id, limit)


def chunks_from_message(connection: Connection, message_id: int) -> list[int]:
    """The chunks that hold this message or a later one."""
    rows = raw_cursor(connection).execute("SELECT DISTINCT chunk_id FROM messages WHERE message_id >= ?", (message_id,))
    return [row[0] for row in rows]


def sample_rows(connection: Connection, role: Role, limit: int) -> list[MessageRow]:
    """Up to ``limit`` messages of one side, spread evenly over the imported history; of the chat when there is none."""
    if limit < 1:
        return []
    cursor = raw_cursor(connection)
    for online in (0, 1):
        rows = cursor.execute(
            "SELECT message_id FROM messages WHERE (turn_key IS NOT NULL) = ?"
            " AND voice_key IN (SELECT voice_key FROM voices WHERE role = ?) ORDER BY message_id",
            (online, role),
        )
        if ids := [row[0] for row in rows]:
            break
    count = min(limit, len(ids))
    chosen = [ids[index * len(ids) // count] for index in range(count)]
    found: list[MessageRow] = []
    for start in range(0, len(chosen), _AT_ONCE):
        some = chosen[start : start + _AT_ONCE]
        marks = ",".join("?" * len(some))
        found += _rows(connection, f"m.message_id IN ({marks}) ORDER BY m.message_id", *some)
    return found


def message_exists(connection: Connection, message_id: int) -> bool:
    """Whether there is such a message."""
    return _one(connection, "m.message_id = ?", message_id) is not None


class _Keys:
    """Keys of voices, conversations and turns, given to new ones as they come."""

    def __init__(self, connection: Connection) -> None:
        self._cursor = raw_cursor(connection)
        self._known: dict[tuple[str, ...], int] = {}

    def of_voice(self, role: str, speaker: str, source: str) -> int:
        return self._of("voices", "voice_key", ("role", "speaker", "source"), (role, speaker, source))

    def of_conversation(self, conversation: str) -> int:
        return self._of("conversations", "conversation_key", ("conversation",), (conversation,))

    def of_turn(self, turn_id: str) -> int:
        form = packed(turn_id)
        row = self._cursor.execute(_TURN, (form,)).fetchone()
        if row is not None:
            return int(row[0])
        return int(self._cursor.execute("INSERT INTO turns (turn_id) VALUES (?)", (form,)).lastrowid or 0)

    def _of(self, table: str, key: str, columns: Sequence[str], values: tuple[str, ...]) -> int:
        place = (table, *values)
        if place not in self._known:
            condition = " AND ".join(f"{column} = ?" for column in columns)
            marks = ",".join("?" * len(columns))
            self._cursor.execute(f"INSERT OR IGNORE INTO {table} ({','.join(columns)}) VALUES ({marks})", values)  # noqa: S608
            row = self._cursor.execute(f"SELECT {key} FROM {table} WHERE {condition}", values).fetchone()  # noqa: S608
            self._known[place] = int(row[0])
        return self._known[place]


def _unlist(connection: Connection, chunk_id: int) -> None:
    spoken = [(row.message.source, row.message.conversation) for row in messages_of_chunk(connection, chunk_id)]
    row = connection.exec_driver_sql("SELECT kind, timestamp FROM chunks WHERE chunk_id = ?", (chunk_id,)).one_or_none()
    if row is not None and spoken:
        remove_facets(connection, chunk_id, 1, message_facets(KIND_NAMES[row.kind], row.timestamp, spoken))


def _delete(connection: Connection, rows: Sequence[MessageRow]) -> None:
    """Remove messages, and the speakers, conversations and turns that nobody else needs."""
    cursor = raw_cursor(connection)
    used: set[tuple[str, str, int | None]] = set()
    tables = ("voice", "conversation", "turn"), ("voices", "conversations", "turns")
    for row in rows:
        number = (row.message.message_id,)
        found = cursor.execute(
            "SELECT voice_key, conversation_key, turn_key FROM messages WHERE message_id = ?", number
        ).fetchone()
        used.update(zip(*tables, found, strict=True))
        cursor.execute("DELETE FROM messages WHERE message_id = ?", number)
    for name, table, key in used:
        if key is not None:
            unused = f"NOT EXISTS (SELECT 1 FROM messages WHERE {name}_key = ?1)"  # noqa: S608 - names from above
            cursor.execute(f"DELETE FROM {table} WHERE {name}_key = ?1 AND {unused}", (key,))  # noqa: S608


def _rows_of_chunk(connection: Connection, chunk_id: int) -> list[tuple[Any, ...]]:
    cursor = raw_cursor(connection)
    first = cursor.execute("SELECT message_id FROM messages WHERE start = 0 AND chunk_id = ?", (chunk_id,)).fetchone()
    if first is None:
        return []
    following = cursor.execute(f"{_COLUMNS} WHERE m.message_id >= ? ORDER BY m.message_id", first)
    found = list(itertools.takewhile(lambda row: row[1] == chunk_id, following))
    cursor.close()
    return found


def _one(connection: Connection, condition: str, *values: Any) -> MessageRow | None:
    found = _rows(connection, condition, *values)
    return found[0] if found else None


def _rows(connection: Connection, condition: str, *values: Any) -> list[MessageRow]:
    cursor = raw_cursor(connection)
    return [_message_row(row) for row in cursor.execute(f"{_COLUMNS} WHERE {condition}", values)]


def _turn_of(row: tuple[Any, ...]) -> tuple[str | None, int | None]:
    return None if row[10] is None else unpacked(row[10]), row[11]


def _message_row(row: tuple[Any, ...]) -> MessageRow:
    number, chunk_id, start, length, role, speaker, source, conversation, timestamp, form, turn_id, position, _ = row
    if form is None:
        source_id = ""
    elif form == _OF_TURN:
        source_id = f"{unpacked(turn_id)}:{position}"
    else:
        source_id = unpacked(form)
    message = Message(role, speaker, "", timestamp, number, conversation, source, source_id)
    return MessageRow(message, chunk_id, start, length)
