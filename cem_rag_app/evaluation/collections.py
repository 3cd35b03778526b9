"""Test collections: documents, queries and judgements, by corpus id.

Four public collections are read as their publishers ship them, and any folder in BEIR's form. Nothing is
downloaded; the folder is given.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cem_rag_app.corpora.beir import read_documents
from cem_rag_app.errors import EmptyInputError, InputError, MalformedLineError

TURNS = 8
"""Turns before the test turn that make a MADial query; the test turn itself would leak the answer."""

_FIELD = re.compile(r"^\.([A-Z])\b ?(.*)$")


@dataclass(frozen=True, slots=True)
class Collection:
    """What a retrieval evaluation needs; ids are strings."""

    name: str
    corpus: dict[str, str]
    queries: dict[str, str]
    """Only queries with at least one relevant document."""
    qrels: dict[str, dict[str, int]]
    """Query id -> document id -> gain; 0 is judged and irrelevant."""


def load_collection(name_or_dir: str | Path, data: Path | None = None) -> Collection:
    """Load ``cranfield``, ``cisi``, ``madial-zh``, ``drcd`` from ``data``, or a BEIR folder.

    Args:
        name_or_dir: a collection's name, or a folder with ``corpus.jsonl``, ``queries.jsonl``, ``qrels/test.tsv``.
        data: the folder with the named collection's files, or the folder above it.

    Raises:
        InputError: a file is missing or a line in it cannot be read; names both.
    """
    name = str(name_or_dir)
    loader = _LOADERS.get(name)
    if loader is None:
        folder = Path(name_or_dir) if data is None or Path(name_or_dir).is_dir() else data / name
        if not folder.is_dir():
            known = ", ".join(sorted(_LOADERS))
            raise InputError(
                f"There is no collection {name!r}.", file=folder, remedy=f"Give {known}, or a folder in BEIR's form."
            )
        return load_beir(folder)
    if data is None:
        raise InputError(f"The files of {name!r} are not shipped.", remedy="Say where they lie: --data DIR.")
    nested = Path(data) / name
    return loader(nested if nested.is_dir() else Path(data))


def load_beir(folder: Path) -> Collection:
    """Load a local BEIR folder: ``corpus.jsonl``, ``queries.jsonl``, ``qrels/test.tsv`` (header, tab-separated)."""
    corpus = {item.mem_id: item.text for item in read_documents(folder)}
    queries_file = folder / "queries.jsonl"
    queries: dict[str, str] = {}
    for number, record in json_lines(queries_file):
        identifier, text = record.get("_id", record.get("id")), record.get("text")
        if not isinstance(identifier, str | int) or not isinstance(text, str):
            raise MalformedLineError("The line has no _id or no text.", file=queries_file, line=number)
        queries[str(identifier)] = text
    qrels_file = folder / "qrels" / "test.tsv"
    qrels: dict[str, dict[str, int]] = {}
    for number, row in enumerate(csv.reader(_lines(qrels_file), delimiter="\t", quoting=csv.QUOTE_NONE), 1):
        if number == 1 and row[-1:] and not row[-1].lstrip("-").isdigit():
            continue  # BEIR's header
        if len(row) != 3 or not row[2].lstrip("-").isdigit():
            remedy = "Expected: query-id, corpus-id, score, separated by tabs."
            raise MalformedLineError("The line is no judgement.", file=qrels_file, line=number, remedy=remedy)
        qrels.setdefault(row[0], {})[row[1]] = int(row[2])
    return _collection(folder.name, corpus, queries, qrels, qrels_file)


def load_cranfield(folder: Path) -> Collection:
    """Load Cranfield 1400. Queries go by position, not by their ``.I``.

    Codes 1 (a complete answer) … 4 (minimum interest) become gains 4 … 1. The undocumented code -1, which stands
    once in each query, is counted as irrelevant: its documents stay in the rankings with a gain of 0.
    """
    corpus = {record["I"]: _joined(record, "T", "W") for record in _records(folder / "cran.all.1400")}
    queries = {str(position): _joined(record, "W") for position, record in enumerate(_records(folder / "cran.qry"), 1)}
    qrels: dict[str, dict[str, int]] = {}
    file = folder / "cranqrel"
    for number, (query, document, code) in _columns(file, 3):
        if code not in {"-1", "1", "2", "3", "4"}:
            raise MalformedLineError(f"{code!r} is no relevance code.", file=file, line=number)
        qrels.setdefault(query, {})[document] = 0 if code == "-1" else 5 - int(code)
    return _collection("cranfield", corpus, queries, qrels, file)


def load_cisi(folder: Path) -> Collection:
    """Load CISI: binary judgements, 76 judged queries."""
    corpus = {record["I"]: _joined(record, "T", "W") for record in _records(folder / "CISI.ALL")}
    queries = {record["I"]: _joined(record, "T", "W") for record in _records(folder / "CISI.QRY")}
    qrels: dict[str, dict[str, int]] = {}
    for _, (query, document) in _columns(folder / "CISI.REL", 2):
        qrels.setdefault(query, {})[document] = 1
    return _collection("cisi", corpus, queries, qrels, folder / "CISI.REL")


def load_madial(folder: Path) -> Collection:
    """Load MADial-Bench-zh: which memory should the dialogue wake?

    A query is the last eight turns before the (first) test turn, each with its speaker: memories name people too.
    """
    corpus: dict[str, str] = {}
    for _, record in json_lines(folder / "MADial-Bench-zh-memory.json"):
        corpus |= {str(key): memory["event"] for key, memory in record.items()}
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    for _, record in json_lines(folder / "MADial-Bench-zh-dialogue.json"):
        identifier = str(record["id"])
        turns = record["dialogue"][: record["test-turn"][0]]
        spoken = [_spoken(turn) for turn in turns if not turn.startswith("<BOD>")]
        queries[identifier] = "\n".join(spoken[-TURNS:])
        qrels[identifier] = {str(document): 1 for document in record["relevant-id"]}
    return _collection("madial-zh", corpus, queries, qrels, folder)


def load_drcd(folder: Path) -> Collection:
    """Load DRCD dev: paragraphs, and questions with the paragraph each was written on."""
    file = folder / "DRCD_dev.json"
    corpus: dict[str, str] = {}
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    for article in json.loads("\n".join(_lines(file)))["data"]:
        for paragraph in article["paragraphs"]:
            corpus[paragraph["id"]] = paragraph["context"]
            for question in paragraph["qas"]:
                queries[question["id"]] = question["question"]
                qrels[question["id"]] = {paragraph["id"]: 1}
    return _collection("drcd", corpus, queries, qrels, file)


_LOADERS: dict[str, Callable[[Path], Collection]] = {
    "cranfield": load_cranfield,
    "cisi": load_cisi,
    "madial-zh": load_madial,
    "drcd": load_drcd,
}


def _collection(
    name: str, corpus: dict[str, str], queries: dict[str, str], qrels: dict[str, dict[str, int]], file: Path
) -> Collection:
    """Keep what can be evaluated: judgements of existing documents, queries with one that is relevant."""
    known = {
        query: {document: grade for document, grade in grades.items() if document in corpus}
        for query, grades in qrels.items()
        if query in queries
    }
    judged = {query: grades for query, grades in known.items() if any(grade > 0 for grade in grades.values())}
    if not judged:
        raise EmptyInputError("No query has a relevant document.", file=file)
    return Collection(name, corpus, {query: queries[query] for query in judged}, judged)


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise InputError("There is no such file.", file=path, remedy="Give the folder that holds it.")
    return path.read_text(encoding="utf-8-sig").splitlines()


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of a JSON-lines file with their line numbers; blank lines are passed over."""
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise MalformedLineError(f"The line is not JSON ({error}).", file=path, line=number) from error
        if not isinstance(record, dict):
            raise MalformedLineError("The line is not a JSON object.", file=path, line=number)
        yield number, record


def _records(path: Path) -> Iterator[dict[str, str]]:
    """Read SMART's form: ``.I 7`` opens a record, ``.T`` and the like a field; a field's lines follow it."""
    record: dict[str, list[str]] = {}
    field = ""
    for number, line in enumerate(_lines(path), 1):
        match = _FIELD.match(line.rstrip())
        if match and match[1] == "I":
            if record:
                yield _closed(record)
            record, field = {"I": [match[2].strip()]}, ""
        elif match and record:
            field = match[1]
            record.setdefault(field, [])
        elif field:
            record[field].append(line.strip())
        elif line.strip():
            raise MalformedLineError("Text outside any record.", file=path, line=number)
    if record:
        yield _closed(record)


def _closed(record: dict[str, list[str]]) -> dict[str, str]:
    return {field: "\n".join(line for line in lines if line) for field, lines in record.items()}


def _joined(record: dict[str, str], *fields: str) -> str:
    return "\n".join(record[field] for field in fields if record.get(field))


def _columns(path: Path, count: int) -> Iterator[tuple[int, tuple[str, ...]]]:
    for number, line in enumerate(_lines(path), 1):
        values = line.split()
        if not values:
            continue
        if len(values) < count:
            raise MalformedLineError(f"The line has fewer than {count} columns.", file=path, line=number)
        yield number, tuple(values[:count])


def _spoken(turn: str) -> str:
    """Return who spoke and what was said: ``<Bart>:"嘿"`` gives ``Bart: 嘿``."""
    speaker, _, words = turn.strip().partition(":")
    return f"{speaker.strip('<>')}: {words.strip().strip(chr(34))}"
