"""Search filters: the catalog says which chunks may be found, before anything is searched.

A filter is a mapping; every entry must hold. An entry's value is what must be equal, a list of which one must be, or
a mapping of operators, all of which must hold:

===========================  ============================================================================
``$eq``, ``$ne``             equal, not equal; ``None`` is equal to what is missing
``$in``, ``$nin``            one of a list, none of a list
``$gt $gte $lt $lte``        ranges of numbers, or of texts by code point
``$exists``                  whether there is a value that is not null
===========================  ============================================================================

Reserved keys:

=====================  ==================================================================================
``kind``               ``segment``, ``online`` or ``document``
``source``             where the item or message came from
``conversation``       only chunks with messages of that conversation
``item_id``            only these documents
``before_message_id``  only chunks whose messages all came earlier
``since``, ``until``   seconds since the epoch, inclusive
``$and``, ``$or``      a list of filters: all, or one of them
``$not``               a filter that must not hold
=====================  ==================================================================================

Any other key - ``subset``, ``label``, ``year`` - is compared with the document's metadata; where that is a list, one
element must fit. Numbers are compared with numbers alone and texts with texts; true is 1 and false is 0. ``$ne``,
``$nin`` and ``$not`` are the complement: chunks that have no such value are among them. Values are bound, never
spliced into SQL.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection

from cem_rag_app.errors import FilterError
from stores.catalog.chunks import position
from stores.catalog.conversation import chunks_from_message
from stores.catalog.database import Database
from stores.catalog.facets import CONVERSATION, DAY, KIND, LONGEST_LISTED, SOURCE, UNLISTED, day_of, metadata_name
from stores.catalog.facets import listed as listed_form
from stores.catalog.identifiers import packed
from stores.catalog.ranges import IntArray, Ranges
from stores.catalog.raw import raw_cursor
from stores.catalog.tables import KIND_CODES

_Scalar = str | int | float | bool | None

AT_ONCE = 500
_DEEPEST = 32
"""Filters inside of filters."""

_RANGES = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": lambda one, other: one > other,
    "$gte": lambda one, other: one >= other,
    "$lt": lambda one, other: one < other,
    "$lte": lambda one, other: one <= other,
}
_RUNS = (
    "SELECT r.first_chunk, r.chunk_count FROM facet_names n CROSS JOIN facets f ON f.name_key = n.name_key"
    " CROSS JOIN facet_runs r ON r.facet_key = f.facet_key WHERE n.name = ?"
)
_AT_TIMES = (
    "SELECT c.chunk_id, 1 FROM facet_names n CROSS JOIN facets f ON f.name_key = n.name_key"
    " CROSS JOIN facet_runs r ON r.facet_key = f.facet_key"
    " CROSS JOIN chunks c ON c.chunk_id >= r.first_chunk AND c.chunk_id < r.first_chunk + r.chunk_count"
    " WHERE n.name = ? AND f.value = ? AND c.timestamp"
)


def allowed_chunks(database: Database, filters: Mapping[str, Any]) -> IntArray | None:
    """The chunks that filters allow: int64, ascending; None without filters. Do not write to it: it is kept.

    Raises:
        FilterError: a filter that cannot be understood.
    """
    if not filters:
        return None
    question = _question(filters)
    with database.read() as connection:
        now = position(connection)
        known = database.allowed.get(now, question) if question is not None else None
        if known is not None:
            return known
        found = chunks_in(connection, filters).ids()
    found.flags.writeable = False
    if question is not None:
        database.allowed.put(now, question, found, found.nbytes + len(question))
    return found


def chunks_in(connection: Connection, filters: Mapping[str, Any]) -> Ranges:
    """The chunks that filters allow in a snapshot; all chunks without filters.

    Raises:
        FilterError: a filter that cannot be understood.
    """
    return _Reader(connection).all_of(filters, 0)


def _question(filters: Mapping[str, Any]) -> str | None:
    """The same text for the same filters; None for what is no filter, which is refused when it is read."""
    try:
        return json.dumps(filters, sort_keys=True, default=_sorted)
    except (TypeError, ValueError, RecursionError):
        return None


def _sorted(value: Any) -> list[Any]:
    if not isinstance(value, (set, frozenset)):
        raise TypeError
    return sorted(value, key=repr)


class _Reader:
    """Reads filters in one snapshot."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cursor = raw_cursor(connection)
        self._everything: Ranges | None = None

    def all_of(self, filters: Any, depth: int) -> Ranges:
        """The chunks for which every entry of a filter holds."""
        if not isinstance(filters, Mapping):
            raise FilterError(f"A filter is a mapping, not {type(filters).__name__}.")
        if depth > _DEEPEST:
            raise FilterError(f"Filters are nested more than {_DEEPEST} deep.")
        found: Ranges | None = None
        if "since" in filters or "until" in filters:
            found = self._times(
                _number("since", filters.get("since", -math.inf)), _number("until", filters.get("until", math.inf))
            )
        for key, value in filters.items():
            if key not in ("since", "until"):
                one = self._entry(key, value, depth)
                found = one if found is None else found & one
        return self._all() if found is None else found

    def _entry(self, key: Any, value: Any, depth: int) -> Ranges:
        if not isinstance(key, str):
            raise FilterError(f"The filter key {key!r} is no text.")
        _check_text(key)
        if key == "$not":
            return self._all() - self.all_of(value, depth + 1)
        if key in ("$and", "$or"):
            if not isinstance(value, (list, tuple)):
                raise FilterError(f"{key} takes a list of filters, not {type(value).__name__}.")
            parts = [self.all_of(one, depth + 1) for one in value]
            found = Ranges.of_rows([]) if key == "$or" else self._all()
            for part in parts:
                found = found | part if key == "$or" else found & part
            return found
        if key.startswith("$"):
            raise FilterError(f"There is no filter {key!r}.", remedy="Use $and, $or, $not or a key of the metadata.")
        if key == "before_message_id":
            return self._before_message(_number(key, value))
        operators = value if isinstance(value, Mapping) else {"$in": _values(key, value)}
        between = self._between(key, operators)
        if between is not None:
            return between
        met: Ranges | None = None
        for operator, operand in operators.items():
            one = self._operator(key, operator, operand)
            met = one if met is None else met & one
        return self._all() if met is None else met

    def _operator(self, key: str, operator: Any, operand: Any) -> Ranges:
        if operator in ("$eq", "$ne"):
            if isinstance(operand, (list, tuple, set, frozenset)):
                raise FilterError(f"{operator} of {key!r} takes one value, not a list.", remedy="Use $in or $nin.")
            found = self._one_of(key, _values(key, operand))
            return found if operator == "$eq" else self._all() - found
        if operator in ("$in", "$nin"):
            found = self._one_of(key, _values(key, operand))
            return found if operator == "$in" else self._all() - found
        if key not in _RESERVED and operator == "$exists" and isinstance(operand, bool):
            present = self._runs(metadata_name(key), "", ())
            return present if operand else self._all() - present
        if key not in _RESERVED and operator in _RANGES:
            if isinstance(operand, bool) or not isinstance(operand, (int, float, str)) or _is_nan(operand):
                raise FilterError(f"{operator} of {key!r} takes a number or a text, not {operand!r}.")
            _check_text(str(operand))
            return self._range(key, operator, operand)
        raise FilterError(
            f"{key!r} has no operator {operator!r} of {operand!r}.",
            remedy="See the operators in the documentation of stores.filters.",
        )

    def _one_of(self, key: str, values: list[_Scalar]) -> Ranges:
        if key in _RESERVED:
            return _RESERVED[key](self, values)
        name = metadata_name(key)
        given = [value for value in values if value is not None and not _is_nan(value)]
        found = self._equal(name, [form for value in given if (form := listed_form(value)) != UNLISTED])
        long = {value for value in given if isinstance(value, str) and len(value) > LONGEST_LISTED}
        if long:
            found = found | self._unlisted(key, lambda value: isinstance(value, str) and value in long)
        if None in values:
            found = found | (self._all() - self._runs(name, "", ()))
        return found

    def _range(self, key: str, operator: str, operand: str | float) -> Ranges:
        # In SQLite's order numbers come before texts and texts before bytes.
        if not isinstance(operand, str):
            return self._runs(
                metadata_name(key), f"AND f.value {_RANGES[operator]} ? AND f.value < ''", (listed_form(operand),)
            )
        condition = f"AND f.value {_RANGES[operator]} ? AND f.value >= '' AND f.value < x''"
        compare = _COMPARE[operator]
        found = self._runs(metadata_name(key), condition, (operand,))
        return found | self._unlisted(
            key, lambda value: isinstance(value, str) and len(value) > LONGEST_LISTED and compare(value, operand)
        )

    def _between(self, key: str, operators: Mapping[Any, Any]) -> Ranges | None:
        """The chunks between two numbers, looked up at once where no document has a list; None for anything else.

        Of a list, one element may fit one bound and another element the other.
        """
        operands = list(operators.values())
        numbers = all(
            isinstance(one, (int, float)) and not isinstance(one, bool) and not _is_nan(one) for one in operands
        )
        if key in _RESERVED or len(operands) < 2 or not numbers or not operators.keys() <= _RANGES.keys():
            return None
        name = metadata_name(key)
        if self._equal(name, [UNLISTED]):
            return None
        condition = " ".join(f"AND f.value {_RANGES[operator]} ?" for operator in operators)
        return self._runs(name, f"{condition} AND f.value < ''", [listed_form(one) for one in operands])

    def _equal(self, name: str, values: list[Any]) -> Ranges:
        found = Ranges.of_rows([])
        for start in range(0, len(values), AT_ONCE):
            some = values[start : start + AT_ONCE]
            found = found | self._runs(name, f"AND f.value IN ({','.join('?' * len(some))})", tuple(some))
        return found

    def _runs(self, name: str, condition: str, values: Iterable[Any]) -> Ranges:
        return Ranges.of_rows(self._cursor.execute(f"{_RUNS} {condition}", (name, *values)).fetchall())

    def _unlisted(self, key: str, fits: Callable[[Any], bool]) -> Ranges:
        """Documents of which only the metadata tells what they have under a key."""
        rows = self._cursor.execute(
            "SELECT i.item_key, i.chunk_count, i.metadata FROM facet_names n"
            " CROSS JOIN facets f ON f.name_key = n.name_key CROSS JOIN facet_runs r ON r.facet_key = f.facet_key"
            " CROSS JOIN items i ON i.item_key >= r.first_chunk AND i.item_key < r.first_chunk + r.chunk_count"
            " WHERE n.name = ? AND f.value = ?",
            (metadata_name(key), UNLISTED),
        )
        found = []
        for item_key, count, metadata in rows:
            value = json.loads(metadata)[key]
            if any(fits(one) for one in (value if isinstance(value, list) else [value])):
                found.append((item_key, count))
        return Ranges.of_rows(found)

    def _all(self) -> Ranges:
        """Every chunk there is: all ids that were given, without those that were deleted."""
        if self._everything is None:
            deleted = self._cursor.execute("SELECT chunk_id, 1 FROM deletions").fetchall()
            given = Ranges.of_rows([(1, position(self._connection).chunk_id)])
            self._everything = given - Ranges.of_rows(deleted)
        return self._everything

    def kind(self, values: list[_Scalar]) -> Ranges:
        unknown = [value for value in values if value not in KIND_CODES]
        if unknown:
            raise FilterError(f"No chunk has the kind {unknown[0]!r}.", remedy=f"Use one of {', '.join(KIND_CODES)}.")
        return self._equal(KIND, values)

    def source(self, values: list[_Scalar]) -> Ranges:
        return self._equal(SOURCE, [value for value in values if isinstance(value, str)])

    def conversation(self, values: list[_Scalar]) -> Ranges:
        return self._equal(CONVERSATION, [value for value in values if isinstance(value, str)])

    def item_id(self, values: list[_Scalar]) -> Ranges:
        rows: list[tuple[int, int]] = []
        for value in values:
            if isinstance(value, str):
                rows += self._cursor.execute(
                    "SELECT item_key, chunk_count FROM items WHERE item_id = ?", (packed(value),)
                )
        return Ranges.of_rows(rows)

    def _before_message(self, bound: float) -> Ranges:
        later = chunks_from_message(self._connection, math.ceil(max(-(2.0**62), min(2.0**62, bound))))
        return self._all() - Ranges.of_rows((chunk_id, 1) for chunk_id in later)

    def _times(self, since: float, until: float) -> Ranges:
        """Whole days are listed; of the first and the last one each chunk's own time is compared."""
        first, last = day_of(since), day_of(until)
        found = self._runs(DAY, "AND f.value > ? AND f.value < ?", (first, last))
        for day in {first, last}:
            rows = self._cursor.execute(f"{_AT_TIMES} BETWEEN ? AND ?", (DAY, day, since, until))
            found = found | Ranges.of_rows(rows.fetchall())
        return found


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _values(key: str, value: Any) -> list[_Scalar]:
    values = list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]
    for one in values:
        if not isinstance(one, (str, int, float, bool, type(None))):
            raise FilterError(
                f"The filter {key!r} has a value of type {type(one).__name__}.",
                remedy="Use a string, a number, true, false, null, a list of them, or a mapping of operators.",
            )
        if isinstance(one, str):
            _check_text(one)
    return values


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise FilterError(f"A filter holds half a character: {text!r}.") from error


def _number(key: str, value: Any) -> float:
    values = _values(key, value)
    if len(values) != 1 or isinstance(values[0], (str, bool, type(None))) or _is_nan(values[0]):
        raise FilterError(f"The filter {key!r} takes one number, not {value!r}.")
    return values[0]


_RESERVED: dict[str, Callable[[_Reader, list[_Scalar]], Ranges]] = {
    "kind": _Reader.kind,
    "source": _Reader.source,
    "conversation": _Reader.conversation,
    "item_id": _Reader.item_id,
}
