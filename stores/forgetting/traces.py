"""Where else forgotten words stand: in what turns recorded, and in what was learned.

A record of a turn shows every line that was recalled for it and every prompt that a model was given, so a message is
found in the records of many turns. A record that shows a forgotten message, by its number or by its words, goes whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from stores.catalog.notes import get_preference, set_preference
from stores.catalog.tables import preferences, turn_records

MOST_PIECES = 500
"""Forgotten lines that are looked for one by one; of more than that no record is likely to be free, and all go."""

SHORTEST_IN_PREFERENCES = 4
"""Letters of a forgotten line that tell a preference learned from it; 好 alone is in too many of them."""

_MESSAGES, _CHUNKS = frozenset({"message_id", "sources"}), frozenset({"chunk_id"})
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
"""What JSON inside of JSON puts where a character was."""


@dataclass(frozen=True, slots=True)
class Traces:
    """What gives away that something was made of what is forgotten.

    Attributes:
        message_ids: forgotten messages.
        chunk_ids: chunks that held something forgotten.
        turn_ids: turns in which one of the messages was said.
        pieces: the lines of the forgotten texts, letters and digits alone; None where they are too many to look for.
    """

    message_ids: Collection[int]
    chunk_ids: Collection[int]
    turn_ids: Collection[str]
    pieces: frozenset[str] | None


def pieces_of(texts: Iterable[str]) -> frozenset[str] | None:
    """The lines of texts as :class:`Traces` keeps them; None when they are too many."""
    found: set[str] = set()
    for text in texts:
        for line in text.splitlines():
            piece = bare(line) or line.strip()
            if piece:
                found.add(piece)
        if len(found) > MOST_PIECES:
            return None
    return frozenset(found)


def forget_records(connection: Connection, traces: Traces, open_record: Callable[[bytes], str]) -> int:
    """Remove the records of turns that show something forgotten; returns how many.

    Args:
        connection: a transaction.
        traces: what to look for.
        open_record: a record's frame -> its JSON.
    """
    if traces.pieces is None:
        return connection.execute(turn_records.delete()).rowcount
    rows = connection.execute(select(turn_records.c.turn_id)).scalars().all()
    removed = 0
    for turn_id in rows:
        frame = connection.execute(select(turn_records.c.frame).where(turn_records.c.turn_id == turn_id)).scalar_one()
        if turn_id in traces.turn_ids or _shows(json.loads(open_record(frame)), traces):
            connection.execute(turn_records.delete().where(turn_records.c.turn_id == turn_id))
            removed += 1
    return removed


def forget_preferences(connection: Connection, traces: Traces) -> int:
    """Remove from the preferences what holds forgotten words; returns how many of them changed."""
    pieces = traces.pieces
    changed = 0
    for key in connection.execute(select(preferences.c.key)).scalars().all():
        value = get_preference(connection, key)
        kept = None if pieces is None else _without(value, {p for p in pieces if len(p) >= SHORTEST_IN_PREFERENCES})
        if kept == value:
            continue
        changed += 1
        if kept in (None, [], {}):
            connection.execute(preferences.delete().where(preferences.c.key == key))
        else:
            set_preference(connection, key, kept)
    return changed


def bare(text: str) -> str:
    """Letters and digits of a text: the same however a prompt or a JSON string laid it out."""
    return "".join(character for character in text if character.isalnum())


def _shows(value: Any, traces: Traces) -> bool:
    assert traces.pieces is not None
    for key, one in _leaves(value, ""):
        if isinstance(one, str):
            if any(piece in form for form in _forms(one) for piece in traces.pieces):
                return True
        elif (key in _MESSAGES and one in traces.message_ids) or (key in _CHUNKS and one in traces.chunk_ids):
            return True
    return False


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Everything that is no object or list, with the key it stands under."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, key)
    else:
        yield key, value


def _forms(text: str) -> tuple[str, ...]:
    """A text as it is, its letters and digits, and those of the JSON that it may be a part of."""
    unescaped = _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else "", text)
    return (text, bare(text), bare(unescaped))


def _without(value: Any, pieces: Collection[str]) -> Any:
    """A value without the strings that hold one of the pieces; None where nothing is left of it."""
    if isinstance(value, str):
        return None if any(piece in form for form in _forms(value) for piece in pieces) else value
    if isinstance(value, list):
        return [kept for kept in (_without(inner, pieces) for inner in value) if kept is not None]
    if isinstance(value, dict):
        inner = {name: _without(one, pieces) for name, one in value.items()}
        return {name: kept for name, kept in inner.items() if kept is not None or value[name] is None}
    return value
