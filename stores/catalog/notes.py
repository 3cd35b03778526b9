"""Small things kept beside the memory: its state, preferences, the persona's rules, marks and turn records.

Each row carries a checksum, which is compared whenever the row is read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects.sqlite import insert

from cem_rag_app.errors import MemoryCorruptError
from cem_rag_app.persona.rules import HardRules
from stores.catalog.checksums import row_checksum
from stores.catalog.raw import raw_cursor
from stores.catalog.tables import feedback, memory_state, persona, preferences, turn_records


def get_value(connection: Connection, key: str, *, table: Table = memory_state) -> Any:
    """A JSON value, None when it was never set.

    Raises:
        MemoryCorruptError: its row is damaged.
    """
    statement = f"SELECT key, value, checksum FROM {table.name} WHERE key = ?"  # noqa: S608 - our own names
    row = raw_cursor(connection).execute(statement, (key,)).fetchone()
    return None if row is None else json.loads(_sound(connection, table, row)[1])


def set_value(connection: Connection, key: str, value: Any, *, table: Table = memory_state) -> None:
    """Set a JSON value."""
    encoded = json.dumps(value, ensure_ascii=False)
    values = {"value": encoded, "checksum": row_checksum(key, encoded)}
    statement = insert(table).values(key=key, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=values))


def get_preference(connection: Connection, key: str) -> Any:
    """What learning or the user set, None when they did not."""
    return get_value(connection, key, table=preferences)


def set_preference(connection: Connection, key: str, value: Any) -> None:
    """Set what learning may change; it cannot reach the rules (I8)."""
    set_value(connection, key, value, table=preferences)


def store_rules(connection: Connection, rules: HardRules | None) -> None:
    """Store the hard rules, once; triggers refuse every later change (I8)."""
    stored = "null" if rules is None else rules.model_dump_json()
    connection.execute(persona.insert().values(id=1, rules=stored, checksum=row_checksum(1, stored)))


def load_rules(connection: Connection) -> HardRules | None:
    """The hard rules; None for a memory without a persona.

    Raises:
        MemoryCorruptError: they are damaged.
    """
    rows = connection.execute(select(persona.c.id, persona.c.rules, persona.c.checksum)).all()
    stored = _sound(connection, persona, rows[0] if len(rows) == 1 else (None, None, None))[1]
    return None if stored == "null" else HardRules.model_validate_json(stored)


def set_mark(connection: Connection, message_id: int, good: bool, now: float) -> None:
    """Mark a message as good, or take the mark back."""
    if good:
        checksum = row_checksum(message_id, 1, now)
        statement = insert(feedback).values(message_id=message_id, good=1, marked_at=now, checksum=checksum)
        connection.execute(statement.on_conflict_do_nothing())
    else:
        connection.execute(feedback.delete().where(feedback.c.message_id == message_id))


def marked_messages(connection: Connection) -> list[int]:
    """Ids of the messages marked as good, in the order of marking.

    Raises:
        MemoryCorruptError: a mark is damaged.
    """
    columns = (feedback.c.message_id, feedback.c.good, feedback.c.marked_at, feedback.c.checksum)
    rows = connection.execute(select(*columns).order_by(feedback.c.marked_at, feedback.c.message_id))
    return [_sound(connection, feedback, row)[0] for row in rows]


def store_record(connection: Connection, turn_id: str, frame: bytes) -> None:
    """Keep a turn's record; the last one wins."""
    values = {"frame": frame, "checksum": row_checksum(turn_id, frame)}
    statement = insert(turn_records).values(turn_id=turn_id, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["turn_id"], set_=values))


def load_record(connection: Connection, turn_id: str) -> bytes | None:
    """The frame of a turn's record, None when there is none.

    Raises:
        MemoryCorruptError: it is damaged.
    """
    columns = (turn_records.c.turn_id, turn_records.c.frame, turn_records.c.checksum)
    row = connection.execute(select(*columns).where(turn_records.c.turn_id == turn_id)).first()
    return None if row is None else _sound(connection, turn_records, row)[1]


def _sound(connection: Connection, table: Table, row: Sequence[Any]) -> Sequence[Any]:
    """A row that ends with its checksum, when that is right."""
    if row[-1] != row_checksum(*row[:-1]):
        raise MemoryCorruptError(
            f"{connection.engine.url.database} is damaged: a row of {table.name} does not match its checksum.",
            remedy="Run `cem-rag check`, and restore the file from a copy.",
        )
    return row
