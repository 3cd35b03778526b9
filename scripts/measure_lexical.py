"""Size and speed of the lexical index alone: ``python -m scripts.measure_lexical CORPUS QUERIES --chunks 100000``.

The corpus and the questions are JSON lines with a ``text``, as ``scripts.collect_abstracts`` writes them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cem_rag_app.chunking import split_text
from stores.catalog.database import FILE_NAME, Database
from stores.catalog.migrations import migrate
from stores.lexical.fresh import add_fresh
from stores.lexical.index import LexicalIndex
from stores.lexical.segment import Segment
from stores.lexical.tokens import stored_terms

PIECE = 20_000
QUESTIONS = 400
CANDIDATES = 64


def texts(path: Path) -> Iterator[str]:
    """Texts of a file of JSON lines."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)["text"]


def main() -> None:
    """Seal chunks of a corpus and ask questions; prints what it takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("queries", type=Path)
    parser.add_argument("--chunks", type=int, default=100_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        database = Database(Path(name) / FILE_NAME)
        size = count = 0
        again = itertools.cycle([arguments.corpus])
        chunks = (part for path in again for text in texts(path) for part in split_text(text, 500))
        numbered = enumerate(itertools.islice(chunks, arguments.chunks), start=1)
        with database.write() as connection:
            migrate(connection, database.path)
        while batch := list(itertools.islice(numbered, PIECE)):
            size += sum(len(text.encode()) for _, text in batch)
            count = batch[-1][0]
            with database.write() as connection:
                add_fresh(connection, [(chunk_id, stored_terms(text)) for chunk_id, text in batch])
        with database.write() as connection:  # no chunks were stored, yet their ids were given
            connection.exec_driver_sql("INSERT INTO sqlite_sequence VALUES ('chunks', ?)", (count,))
        index = LexicalIndex(Path(name) / "lexical", database)
        started = time.perf_counter()
        index.seal()
        print(f"sealed {count:,} chunks of {size / count:.1f} bytes in {time.perf_counter() - started:.1f} s")
        (path,) = (Path(name) / "lexical").iterdir()
        print(f"{path.stat().st_size:,} bytes, {path.stat().st_size / size:.4f} of the text", Segment(path).header)
        questions = list(itertools.islice(texts(arguments.queries), QUESTIONS))
        random = np.random.default_rng(0)
        for share in (1.0, 0.1, 0.01, 0.001):
            allowed = None
            if share < 1:
                allowed = np.sort(random.choice(count, max(1, int(count * share)), replace=False)).astype(np.int64) + 1
            taken = []
            with database.read() as connection:
                for question in questions[:1] + questions:
                    started = time.thread_time()
                    index.search(connection, question, CANDIDATES, allowed)
                    taken.append(1e3 * (time.thread_time() - started))
            low, high = np.percentile(taken[1:], [50, 95])
            print(f"{share:.1%} allowed: processor time p50 {low:.2f} ms, p95 {high:.2f} ms")
        index.close()
        database.close()


if __name__ == "__main__":
    main()
