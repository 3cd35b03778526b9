"""From a corpus to the load: documents up to a number of chunks, the vectors of their frames, queries of titles."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from cem_rag_app.chunking import split_text
from cem_rag_app.corpora.beir import read_documents
from cem_rag_app.errors import EmptyInputError
from cem_rag_app.schema import FloatArray, MemoryItem
from stores.peers.ours import CHUNK_TARGET, Ours
from stores.peers.workload import EXACT, Workload, write_workload

QUERIES_FILE = "queries.jsonl"


def documents(corpus: Path, count: int) -> Iterator[MemoryItem]:
    """Documents of a BEIR corpus until their chunks would be more than ``count``.

    Each gets two made-up fields, drawn from its id: ``percent`` (100 values) and ``permille`` (1,000), so that a filter
    allows a hundredth or a thousandth of the rows whatever the corpus is about.
    """
    chunks = 0
    for item in read_documents(corpus):
        chunks += len(split_text(item.text, CHUNK_TARGET))
        if chunks > count:
            return
        drawn = zlib.crc32(item.mem_id.encode()) % 1000
        yield replace(item, meta={"percent": drawn // 10, "permille": drawn})


def query_texts(path: Path, count: int) -> list[str]:
    """At most so many texts of a BEIR ``queries.jsonl``, spread evenly over it.

    Raises:
        EmptyInputError: there is none.
    """
    with path.open(encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file if line.strip()]
    if not texts:
        raise EmptyInputError("there is no query in it.", file=path)
    step = max(1, len(texts) // count)
    return texts[::step][:count]


def prepare(folder: Path, corpus: Path, count: int, queries: FloatArray, *, k: int) -> Workload:
    """Make the workload, or open it where it is made already.

    A memory is built for it by the present code and thrown away: it says where chunks are cut and what their vectors
    are. Our own row is measured on another one, built like any peer's store.

    Args:
        folder: of the workload.
        corpus: a BEIR corpus in English.
        count: chunks at most.
        queries: (q, d) float32, unit.
        k: hits a query.
    """
    if (folder / EXACT).exists():
        return Workload.open(folder)
    folder.mkdir(parents=True, exist_ok=True)
    memory = folder / "memory"
    shutil.rmtree(memory, ignore_errors=True)
    ours = Ours()
    ours.create_from(memory, documents(corpus, count))
    rows, vectors = ours.export(memory)
    if not rows:
        raise EmptyInputError("there is no document in it that is short enough.", file=corpus)
    shutil.rmtree(memory)
    return write_workload(folder, rows, vectors, queries, k=k)


def small_workload(whole: Workload, folder: Path, rows: int) -> Workload:
    """The first rows of a workload as one of their own, for what is not worth a whole store."""
    if (folder / EXACT).exists():
        return Workload.open(folder)
    some = whole.rows()[:rows]
    return write_workload(folder, some, np.asarray(whole.vectors[: len(some)]), whole.queries[:50], k=10)
