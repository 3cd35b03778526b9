"""A BEIR ``corpus.jsonl`` to documents, checked whole before the first one is given.

The format is that of the BEIR benchmark (Thakur et al. 2021): one object a line, ``_id``, ``title``, ``text``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cem_rag_app.errors import EmptyInputError, EncodingError, InputError, MalformedLineError
from cem_rag_app.persona.history.rows import jsonl_rows
from cem_rag_app.schema import MemoryItem

ID_KEYS = ("_id", "id", "corpus_id", "doc_id")


def read_documents(path: Path) -> Iterator[MemoryItem]:
    """Read ``corpus.jsonl``: one object a line with an id, a ``text`` and perhaps a ``title`` (its text's first line).

    Args:
        path: the file, or the folder of a BEIR collection. Other keys of a line become metadata.

    Raises:
        InputError: there is no such file.
        EmptyInputError: no document in it.
        MalformedLineError: a line is no JSON, has no id or no text, or repeats an id.
        LineTooLongError: a line exceeds 1 MiB.
        EncodingError: a line is no text in a supported encoding, or holds half of a character.
    """
    source = path / "corpus.jsonl" if path.is_dir() else path
    if not source.is_file():
        raise InputError("there is no such file.", file=source, remedy="Give corpus.jsonl or the folder it lies in.")
    seen: set[str] = set()
    for number, row in jsonl_rows(source, Counter()):
        item = _item(row, source, number)
        if item.mem_id in seen:
            raise MalformedLineError(
                f"the id {item.mem_id!r} stands in the file twice; nothing has been imported.",
                file=source,
                line=number,
                remedy="Give every document an id of its own.",
            )
        seen.add(item.mem_id)
    if not seen:
        raise EmptyInputError("there is no document in it.", file=source, remedy="One JSON object a line is expected.")
    return (_item(row, source, number) for number, row in jsonl_rows(source, Counter()))


def _item(row: dict[str, Any], source: Path, number: int) -> MemoryItem:
    identifier = next((row[key] for key in ID_KEYS if key in row), None)
    text, title = row.get("text"), row.get("title") or ""
    if not isinstance(identifier, str | int) or not isinstance(text, str) or not isinstance(title, str):
        raise MalformedLineError(
            "the line has no id or no text; nothing has been imported.",
            file=source,
            line=number,
            remedy=f"Give each line an id ({', '.join(ID_KEYS)}) and a text.",
        )
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise EncodingError(
            "the line holds half of a character (a lone surrogate), which cannot be stored; nothing has been imported.",
            file=source,
            line=number,
            remedy="Mend or remove that line.",
        ) from error
    meta = {key: value for key, value in row.items() if key not in (*ID_KEYS, "text", "title")}
    return MemoryItem(
        mem_id=str(identifier),
        text=f"{title}\n{text}" if title else text,
        source=source.name,
        meta={**meta, "title": title} if title else meta,
    )
