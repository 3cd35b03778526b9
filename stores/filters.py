"""Search filters as SQL conditions: the catalog says which chunks may be found, before anything is searched.

A filter is a mapping; every entry must hold. Reserved keys:

=====================  ==================================================================================
``kind``               ``segment``, ``online`` or ``document``
``source``             where the item or message came from
``conversation``       only chunks with messages of that conversation
``item_id``            only these documents
``before_message_id``  only chunks whose messages all came earlier
``since``, ``until``   seconds since the epoch, inclusive
=====================  ==================================================================================

Any other key is compared with the item's metadata. A list of values means one of them. Values are bound, never
spliced into SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_, select

from cem_rag_app.errors import FilterError
from stores.catalog.tables import KIND_CODES, chunks, items, messages

_Scalar = str | int | float | bool | None


def filter_condition(filters: Mapping[str, Any]) -> ColumnElement[bool] | None:
    """A condition on ``chunks`` outer-joined with ``items``; None without filters.

    Raises:
        FilterError: a key or value that cannot be understood.
    """
    conditions = [_RESERVED.get(key, _metadata(key))(_values(key, value)) for key, value in filters.items()]
    return and_(*conditions) if conditions else None


def _values(key: str, value: Any) -> list[_Scalar]:
    values = list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]
    for one in values:
        if not isinstance(one, (str, int, float, bool, type(None))):
            raise FilterError(
                f"The filter {key!r} has a value of type {type(one).__name__}.",
                remedy="Use a string, a number, true, false, null, or a list of them.",
            )
    return values


def _kind(values: list[_Scalar]) -> ColumnElement[bool]:
    unknown = [value for value in values if value not in KIND_CODES]
    if unknown:
        raise FilterError(f"No chunk has the kind {unknown[0]!r}.", remedy=f"Use one of {', '.join(KIND_CODES)}.")
    return chunks.c.kind.in_([code for kind, code in KIND_CODES.items() if kind in values])


def _of_messages(column: ColumnElement[Any]) -> Callable[[list[_Scalar]], ColumnElement[bool]]:
    return lambda values: exists(
        select(messages.c.message_id).where(messages.c.chunk_id == chunks.c.chunk_id, column.in_(values))
    )


def _source(values: list[_Scalar]) -> ColumnElement[bool]:
    return or_(items.c.source.in_(values), _of_messages(messages.c.source)(values))


def _item_id(values: list[_Scalar]) -> ColumnElement[bool]:
    return items.c.item_id.in_(values)


def _before_message(values: list[_Scalar]) -> ColumnElement[bool]:
    bound = _number("before_message_id", values)
    later = select(messages.c.message_id).where(
        messages.c.chunk_id == chunks.c.chunk_id, messages.c.message_id >= bound
    )
    return ~exists(later)


def _since(values: list[_Scalar]) -> ColumnElement[bool]:
    return chunks.c.timestamp >= _number("since", values)


def _until(values: list[_Scalar]) -> ColumnElement[bool]:
    return chunks.c.timestamp <= _number("until", values)


def _number(key: str, values: list[_Scalar]) -> float:
    if len(values) != 1 or isinstance(values[0], (str, bool, type(None))):
        raise FilterError(f"The filter {key!r} takes one number, not {values!r}.")
    return values[0]


def _metadata(key: str) -> Callable[[list[_Scalar]], ColumnElement[bool]]:
    if '"' in key or "\\" in key:
        raise FilterError(f"The filter key {key!r} has a quotation mark or backslash in it.")

    def condition(values: list[_Scalar]) -> ColumnElement[bool]:
        stored = func.json_extract(items.c.metadata, f'$."{key}"')
        given = [int(value) if isinstance(value, bool) else value for value in values if value is not None]
        alternatives = [stored.in_(given)] if given else []
        if None in values:
            alternatives.append(stored.is_(None))
        return or_(*alternatives) if alternatives else stored.in_([])

    return condition


_RESERVED: dict[str, Callable[[list[_Scalar]], ColumnElement[bool]]] = {
    "kind": _kind,
    "source": _source,
    "conversation": _of_messages(messages.c.conversation),
    "item_id": _item_id,
    "before_message_id": _before_message,
    "since": _since,
    "until": _until,
}
