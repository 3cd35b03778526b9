"""Text lines -> rows: one mapping of column to value for every JSON object or CSV record."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cem_rag_app.errors import ColumnError, LineTooLongError, MalformedLineError
from cem_rag_app.persona.history.lines import text_lines

Row = tuple[int, dict[str, Any]]
"""Line number the row starts on, and its values by column."""

_PEEK = 200


def jsonl_rows(path: Path, encodings: Counter[str]) -> Iterator[Row]:
    """One JSON object a line; blank lines are passed over.

    Raises:
        MalformedLineError: A line is no JSON, or no object.
    """
    for number, line in text_lines(path, encodings):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise MalformedLineError(
                f"the line is no JSON ({_json_problem(error)}).",
                file=path,
                line=number,
                remedy="Mend or remove that line; nothing has been imported.",
            ) from error
        if not isinstance(value, dict):
            raise MalformedLineError(
                f"the line holds a JSON {type(value).__name__}, not an object.",
                file=path,
                line=number,
                remedy='Each line must look like {"speaker": "...", "text": "..."}; nothing has been imported.',
            )
        yield number, value


def _json_problem(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, column {error.colno}"
    return "nested too deep" if isinstance(error, RecursionError) else "a number has too many digits"


def jsonl_columns(path: Path) -> list[str]:
    """Keys of the first objects, in order of appearance."""
    keys: dict[str, None] = {}
    for index, (_, row) in enumerate(jsonl_rows(path, Counter())):
        keys.update(dict.fromkeys(row))
        if index + 1 >= _PEEK:
            break
    return list(keys)


def csv_rows(path: Path, encodings: Counter[str]) -> Iterator[Row]:
    """CSV with a header; separated by comma, semicolon or tab; line ends inside quotes belong to the value.

    Raises:
        MalformedLineError: A record has more values than the header has columns, or a quote is never closed.
        LineTooLongError: One value is longer than csv allows (131,072 characters).
    """
    lines = (line for _, line in text_lines(path, encodings))
    header_line = next(lines, "")
    header = _header(header_line)
    delimiter = _delimiter(header_line)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    start = 2
    while True:
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "field limit" in str(error):
                raise LineTooLongError(
                    f"a value is longer than {csv.field_size_limit():,} characters; a quote may be open.",
                    file=path,
                    line=start,
                    remedy="Close the quote or shorten the value; nothing has been imported.",
                ) from error
            raise MalformedLineError(
                f"the record is no CSV ({error}).",
                file=path,
                line=start,
                remedy="Double the quotes inside quoted values, close every quote; nothing has been imported.",
            ) from error
        number, start = start, reader.line_num + 2
        if not values:
            continue
        if len(values) > len(header):
            raise MalformedLineError(
                f"the record has {len(values)} values, the header {len(header)} columns.",
                file=path,
                line=number,
                remedy="Put values that contain the separator in double quotes; nothing has been imported.",
            )
        yield number, dict(zip(header, values, strict=False))


def csv_columns(path: Path) -> list[str]:
    """The header.

    Raises:
        ColumnError: A column name stands there twice, or the line is no header.
    """
    try:
        header = _header(next((line for _, line in text_lines(path, Counter())), ""))
    except csv.Error as error:
        raise ColumnError(
            f"the header is no CSV ({error}).",
            file=path,
            line=1,
            remedy="The first line must name the columns, speaker and text among them.",
        ) from error
    twice = [name for name, count in Counter(header).items() if count > 1 and name]
    if twice:
        raise ColumnError(
            f"the header names {', '.join(twice)} twice.", file=path, line=1, remedy="Rename one of them."
        )
    return [name for name in header if name]


def _header(line: str) -> list[str]:
    record = next(csv.reader([line], delimiter=_delimiter(line)), [])
    return [name.strip() for name in record]


def _delimiter(header_line: str) -> str:
    """The separator that cuts the header most often; a comma where none does."""
    return max(",\t;", key=header_line.count)
