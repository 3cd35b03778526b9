"""Search filters as SQL conditions on ``items``, answered before anything is searched.

A filter is a mapping; every entry must hold.

=================================================  ==========================================================
``id``, ``file_path``, ``subset``, ``label``,       a string, a list of them (one of), or null
``source``
``seq_len``, ``args_dim``                           a whole number, a list, null, or a range
``created_at``                                      a range of seconds since the epoch
``$and``, ``$or``                                   a list of filters
``$not``                                            a filter
=================================================  ==========================================================

A range is a mapping of ``$gte``, ``$gt``, ``$lte``, ``$lt`` and ``$ne`` to values. Values are bound, never spliced into
SQL.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, and_, false, not_, or_, true

from cem_rag_app.errors import FilterError
from stores.vectors.tables import items

_TEXTS = ("id", "file_path", "subset", "label", "source")
_NUMBERS = ("seq_len", "args_dim")
_MOMENT = "created_at"
_COMPARISONS: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "$gte": operator.ge,
    "$gt": operator.gt,
    "$lte": operator.le,
    "$lt": operator.lt,
    "$ne": operator.ne,
}
_MOST_VALUES = 1_000
_MOST_CONDITIONS = 500
"""In a whole filter: SQLite refuses expressions deeper than 1,000."""
_MOST_VALUES_ALTOGETHER = 10_000
"""In a whole filter: SQLite binds 32,766 values, PostgreSQL 65,535."""
_DEEPEST = 8
_LARGEST = 2**31 - 1


def filter_condition(filters: Mapping[str, Any]) -> ColumnElement[bool]:
    """A condition on ``items``.

    Raises:
        FilterError: a key or value that cannot be understood.
    """
    conditions, values = _size(filters, 0)
    if conditions > _MOST_CONDITIONS or values > _MOST_VALUES_ALTOGETHER:
        raise FilterError(
            f"A filter holds at most {_MOST_CONDITIONS} conditions and {_MOST_VALUES_ALTOGETHER} values, "
            "those under $not, $ne and a null among others twice.",
            remedy='Write values of one key as a list, {"label": ["a", "b"]}, or ask several questions.',
        )
    return _all_of(filters, 0)


def _size(filters: Any, depth: int) -> tuple[int, int]:
    """Conditions and values in SQL; what is no filter counts nothing here and is refused where it is read."""
    if not isinstance(filters, Mapping) or depth > _DEEPEST:
        return 1, 0
    conditions = values = 0
    for key, value in filters.items():
        if key in ("$and", "$or") and isinstance(value, (list, tuple)):
            sizes = [_size(part, depth + 1) for part in value]
        elif key == "$not":
            sizes = [_size(value, depth + 1)] * 2  # the condition, and whether it is known
        elif isinstance(value, Mapping):
            sizes = [(len(value) + ("$ne" in value), len(value))]  # unlike it, or unknown
        elif isinstance(value, (list, tuple, set, frozenset)):
            sizes = [(1 + (None in value), len(value))]
        else:
            sizes = [(1, 1)]
        conditions += sum(size[0] for size in sizes)
        values += sum(size[1] for size in sizes)
    return max(1, conditions), values


def _all_of(filters: Any, depth: int) -> ColumnElement[bool]:
    if not isinstance(filters, Mapping):
        raise FilterError(f"A filter is a mapping of keys to values, not {type(filters).__name__}.")
    if depth > _DEEPEST:
        raise FilterError(f"A filter is nested deeper than {_DEEPEST}.")
    return and_(true(), *(_entry(key, value, depth) for key, value in filters.items()))


def _entry(key: str, value: Any, depth: int) -> ColumnElement[bool]:
    if key in ("$and", "$or"):
        if not isinstance(value, (list, tuple)) or not value:
            raise FilterError(f"{key} takes a list of filters.")
        parts = [_all_of(part, depth + 1) for part in value]
        return and_(*parts) if key == "$and" else or_(*parts)
    if key == "$not":
        inner = _all_of(value, depth + 1)
        # NULL compares as unknown, and "not unknown" is unknown too: what has no label is not labelled "plate".
        return not_(and_(inner, inner.is_not(None)))
    if key not in (*_TEXTS, *_NUMBERS, _MOMENT):
        known = ", ".join((*_TEXTS, *_NUMBERS, _MOMENT))
        raise FilterError(f"Nothing can be filtered by {key!r}.", remedy=f"Filter by {known}, $and, $or or $not.")
    column = items.c[key]
    if isinstance(value, Mapping):
        return _range(key, column, value)
    if key == _MOMENT:
        raise FilterError(f"{_MOMENT!r} is compared by a range.", remedy='Write {"$gte": 1.7e9} or the like.')
    return _one_of(key, column, list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value])


def _one_of(key: str, column: Column[Any], values: list[Any]) -> ColumnElement[bool]:
    if len(values) > _MOST_VALUES:
        raise FilterError(f"The filter {key!r} has more than {_MOST_VALUES} values.")
    given = [_checked(key, value) for value in values if value is not None]
    alternatives: list[ColumnElement[bool]] = [column.in_(given)] if given else []
    if None in values:
        # That column takes no NULL: "" stands for it.
        alternatives.append(column == "" if key == "file_path" else column.is_(None))
    return or_(*alternatives) if alternatives else false()


def _range(key: str, column: Column[Any], bounds: Mapping[str, Any]) -> ColumnElement[bool]:
    if not bounds or not set(bounds) <= set(_COMPARISONS):
        raise FilterError(
            f"The filter {key!r} has {sorted(map(str, bounds))}.", remedy=f"Use {', '.join(_COMPARISONS)}."
        )
    conditions = []
    for name, value in bounds.items():
        condition = _COMPARISONS[name](column, _checked(key, value))
        conditions.append(or_(condition, column.is_(None)) if name == "$ne" else condition)
    return and_(*conditions)


def _checked(key: str, value: Any) -> str | int | datetime:
    if key in _TEXTS:
        if isinstance(value, str) and "\0" not in value:
            return value
        raise FilterError(f"The filter {key!r} takes strings, not {value!r}.")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise FilterError(f"The filter {key!r} takes numbers, not {value!r}.")
    if key == _MOMENT:
        try:
            return datetime.fromtimestamp(value, UTC).replace(tzinfo=None)
        except (ValueError, OverflowError, OSError) as error:
            raise FilterError(f"{value!r} is no moment in seconds since the epoch.") from error
    if isinstance(value, float) or abs(value) > _LARGEST:
        raise FilterError(f"The filter {key!r} takes whole numbers up to {_LARGEST}, not {value!r}.")
    return value
