"""Messages: who said what and when. What was said lies compressed in the chunk that covers it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Connection, Row, Select, insert, select, tuple_

from cem_rag_app.schema import Message, Role
from stores.catalog.tables import KIND_CODES, chunks, messages

_AT_ONCE = 400


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


def add_messages(
    connection: Connection,
    chunk_id: int,
    spoken: Sequence[Message],
    *,
    turn_id: str | None = None,
    position: int | None = None,
) -> list[Message]:
    """Store the messages of one chunk, whose text is theirs joined by newlines; returns them with their ids."""
    stored = []
    start = 0
    for message in spoken:
        result = connection.execute(
            insert(messages).values(
                chunk_id=chunk_id,
                start=start,
                length=len(message.text),
                role=message.role,
                speaker=message.speaker,
                conversation=message.conversation,
                timestamp=message.timestamp,
                source=message.source,
                source_id=message.source_id or None,
                turn_id=turn_id,
                position=position,
            )
        )
        stored.append(replace(message, message_id=int(result.lastrowid)))
        start += len(message.text) + 1
    return stored


def known_source_ids(connection: Connection, wanted: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Which of these (source, source id) pairs are already stored."""
    pairs = list(wanted)
    known: set[tuple[str, str]] = set()
    key = tuple_(messages.c.source, messages.c.source_id)
    for start in range(0, len(pairs), _AT_ONCE):
        rows = connection.execute(
            select(messages.c.source, messages.c.source_id).where(key.in_(pairs[start : start + _AT_ONCE]))
        )
        known.update((row.source, row.source_id) for row in rows)
    return known


def message_of_turn(connection: Connection, turn_id: str, position: int) -> MessageRow | None:
    """The message stored for a place of a turn, if it is."""
    return _one(connection, (messages.c.turn_id == turn_id) & (messages.c.position == position))


def messages_of_chunk(connection: Connection, chunk_id: int) -> list[MessageRow]:
    """The messages of one chunk in order."""
    return _rows(connection, select(messages).where(messages.c.chunk_id == chunk_id).order_by(messages.c.message_id))


def messages_before(
    connection: Connection, conversation: str, limit: int, before_id: int | None = None
) -> list[MessageRow]:
    """The last messages of a conversation, or the last before one of them; oldest first."""
    statement = select(messages).where(messages.c.conversation == conversation)
    if before_id is not None:
        statement = statement.where(messages.c.message_id < before_id)
    return _rows(connection, statement.order_by(messages.c.message_id.desc()).limit(limit))[::-1]


def messages_after(connection: Connection, conversation: str, limit: int, after_id: int) -> list[MessageRow]:
    """The next messages of a conversation, in order."""
    return _rows(
        connection,
        select(messages)
        .where(messages.c.conversation == conversation, messages.c.message_id > after_id)
        .order_by(messages.c.message_id)
        .limit(limit),
    )


def sample_rows(connection: Connection, role: Role, limit: int) -> list[MessageRow]:
    """Up to ``limit`` messages of one side, spread evenly over the imported history; of the chat when there is none."""
    if limit < 1:
        return []
    for kind in ("segment", "online"):
        ids = list(
            connection.execute(
                select(messages.c.message_id)
                .join(chunks, chunks.c.chunk_id == messages.c.chunk_id)
                .where(messages.c.role == role, chunks.c.kind == KIND_CODES[kind])
                .order_by(messages.c.message_id)
            ).scalars()
        )
        if ids:
            break
    count = min(limit, len(ids))
    chosen = [ids[index * len(ids) // count] for index in range(count)]
    found: list[MessageRow] = []
    for start in range(0, len(chosen), _AT_ONCE):
        some = chosen[start : start + _AT_ONCE]
        found += _rows(
            connection, select(messages).where(messages.c.message_id.in_(some)).order_by(messages.c.message_id)
        )
    return found


def message_exists(connection: Connection, message_id: int) -> bool:
    """Whether there is such a message."""
    return _one(connection, messages.c.message_id == message_id) is not None


def _one(connection: Connection, condition: ColumnElement[bool]) -> MessageRow | None:
    found = _rows(connection, select(messages).where(condition))
    return found[0] if found else None


def _rows(connection: Connection, statement: Select[tuple[object, ...]]) -> list[MessageRow]:
    return [_message_row(row) for row in connection.execute(statement)]


def _message_row(row: Row[tuple[object, ...]]) -> MessageRow:
    message = Message(
        role=row.role,
        speaker=row.speaker,
        text="",
        timestamp=row.timestamp,
        message_id=row.message_id,
        conversation=row.conversation,
        source=row.source,
        source_id=row.source_id or "",
    )
    return MessageRow(message, row.chunk_id, row.start, row.length)
