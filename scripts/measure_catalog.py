"""What a catalog's rows weigh and what filters cost, without frames: ``python -m scripts.measure_catalog --help``."""

from __future__ import annotations

import argparse
import itertools
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from cem_rag_app.chunking import split_text
from cem_rag_app.schema import MemoryItem
from stores.catalog.chunks import NewChunk, count_chunks, position
from stores.catalog.database import Database
from stores.catalog.items import NewItem, add_items
from stores.catalog.migrations import migrate
from stores.catalog.verifying import verify_rows
from stores.filters import allowed_chunks, chunks_in

CHUNK_BYTES = 500
DAY = 86_400.0
FILTERS: dict[str, dict[str, Any]] = {
    "one of 100 labels": {"label": "l7"},
    "one of 1,000 numbers": {"rare": 77},
    "one of 33 years, as a range": {"year": {"$gte": 1999, "$lt": 2000}},
    "a label and a range of two thirds": {"label": "l7", "year": {"$gte": 2000}},
    "not a label": {"$not": {"label": "l7"}},
    "1 % of the time": {"since": 1.2e9, "until": 1.206e9},
    "before a message": {"before_message_id": 10},
}


def documents(corpus: Path, facets: bool) -> Iterator[NewItem]:
    """The corpus again and again, with other ids each time; chunks have their real sizes and no content."""
    number = 0
    for turn in itertools.count():
        with corpus.open() as lines:
            for line in lines:
                row = json.loads(line)
                number += 1
                meta = {
                    "label": f"l{number * 7919 % 100}",
                    "year": 1990 + number * 31 % 33,
                    "rare": number * 7919 % 1000,
                }
                at = 1.0e9 + number * 13 * DAY % 6.0e8 if facets else 0.0
                name = row["_id"] if turn == 0 else f"{row['_id']}.{turn}"
                item = MemoryItem(name, "", at, "corpus", meta if facets else {})
                sizes = [len(part.encode()) for part in split_text(row["text"], CHUNK_BYTES)]
                yield NewItem(item, hash(name), [NewChunk("document", b"f", 1, size, at, None) for size in sizes])


def fill(database: Database, source: Iterator[NewItem], count: int) -> float:
    """Store documents until there are so many chunks; returns seconds of CPU spent in the catalog."""
    spent, done = 0.0, 0
    with database.write() as connection:
        migrate(connection, database.path)
        connection.exec_driver_sql("INSERT INTO dictionaries (digest, data) VALUES ('', x'00')")
    while done < count:
        batch = [item for item in itertools.islice(source, 256) if item.chunks]
        started = time.process_time()
        with database.write() as connection:
            add_items(connection, batch)
        spent += time.process_time() - started
        done += sum(len(item.chunks) for item in batch)
    with database.write() as connection:  # as packing leaves them
        connection.exec_driver_sql("INSERT INTO packs VALUES (1, '', 1, 1, 1, 0)")
        connection.exec_driver_sql(
            "UPDATE chunks SET pack_number = 1, pack_index = chunk_id, frame = NULL, dictionary_key = NULL"
        )
    database.shrink()
    return spent


def median_ms(call: Callable[[], Any], times: int = 15) -> float:
    """Milliseconds that a call takes."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1e3


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path, help="corpus.jsonl in BEIR form")
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--facets", action="store_true", help="give documents a time and three keys of metadata")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cem-rag-catalog-") as folder:
        path = Path(folder) / "catalog.sqlite"
        database = Database(path)
        spent = fill(database, documents(arguments.corpus, arguments.facets), arguments.chunks)
        with database.read() as connection:
            chunks = count_chunks(connection)
            print(f"{chunks} chunks stored at {chunks / spent:,.0f} a second of CPU")
            print(f"position, count: {median_ms(lambda: (position(connection), count_chunks(connection))):.3f} ms")
            for name, filters in FILTERS.items() if arguments.facets else ():
                taken = median_ms(lambda filters=filters: chunks_in(connection, filters).ids())  # type: ignore[misc]
                print(f"{name}: {len(chunks_in(connection, filters))} chunks, {taken:.2f} ms")
            print(f"every row compared: {median_ms(lambda: list(verify_rows(connection)), 1) / 1e3:.1f} s")
        print(f"a filter that was just used: {median_ms(lambda: allowed_chunks(database, {'label': 'l7'})):.3f} ms")
        database.close()
        with closing(sqlite3.connect(path)) as raw:
            for name, size in raw.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY 1 ORDER BY 2 DESC"):
                if size > chunks // 4:
                    print(f"{name}: {size / chunks:.2f} bytes a chunk")


if __name__ == "__main__":
    main()
