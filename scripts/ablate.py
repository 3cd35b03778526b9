"""Ablate the vector service: ``python -m scripts.ablate data --report docs/vector-ablation.md``.

``data`` is a folder that ``python -m scripts.make_macros data`` wrote. Everything is chosen on the validation queries;
the test queries are asked once, with what was chosen. Writes a page of tables, and curves in ``images/`` beside it.
"""

from __future__ import annotations

import json
import math
import platform
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click
import numpy as np

from scripts.ablation import (
    DEPTH,
    METHODS,
    Candidates,
    Half,
    K,
    Quality,
    Timing,
    candidates,
    quality,
    ranked,
    read_split,
    timed,
)
from scripts.ablation_report import draw, page
from stores.indexes.base import IndexParameters
from stores.indexes.faiss_index import FaissIndex
from stores.vectors.items import FusionSettings, SearchRequest, SecondStage, VectorItem
from stores.vectors.service import VectorCollection

STAGE_N = (50, 100, 200)
GRID = tuple(round(0.1 * step, 1) for step in range(11))
WANTED_RECALL = 0.99


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One index: what it is, what it finds of the exact first 10, what that is worth, time and bytes."""

    name: str
    kind: str
    parameters: dict[str, int | str]
    recall: float
    quality: Quality
    timing: Timing
    bytes_each: float


@dataclass(frozen=True, slots=True)
class FusionRow:
    """One way of putting both stages together."""

    method: SecondStage
    stage_n: int
    fusion: str
    alpha: float | None
    quality: Quality


def index_grid(count: int, dimension: int, code_bits: Sequence[int]) -> Iterator[tuple[str, IndexParameters]]:
    """Every index that is compared."""
    yield "flat", IndexParameters("flat")
    for m in (16, 32):
        for ef in (16, 32, 64, 128, 256):
            yield f"HNSW M={m} ef={ef}", IndexParameters("hnsw", m=m, ef_search=ef)
    for factor in (1, 4):
        cells = int(factor * math.sqrt(count))
        for nprobe in (1, 2, 4, 8, 16, 32, 64):
            yield f"IVF {factor}√N nprobe={nprobe}", IndexParameters("ivf", nlist=cells, nprobe=nprobe)
    cells = int(4 * math.sqrt(count))
    for pieces in (dimension // 8, dimension // 4):
        for bits in code_bits:
            for refine in (0, 8):
                for nprobe in (16, 64):
                    name = f"IVF-PQ m={pieces} bits={bits} refine={refine} nprobe={nprobe}"
                    yield (
                        name,
                        IndexParameters(
                            "ivfpq", nlist=cells, nprobe=nprobe, pq_m=pieces, pq_bits=bits, refine_factor=refine
                        ),
                    )
    for nprobe in (16, 64):
        yield f"RaBitQ nprobe={nprobe}", IndexParameters("rabitq", nlist=cells, nprobe=nprobe)


def measure_indexes(library: Half, queries: Half, code_bits: Sequence[int]) -> list[IndexRow]:
    """Build each index once for all of its search parameters, and ask it every query."""
    exact = np.argsort(-(queries.z @ library.z.T), axis=1, kind="stable")[:, :K]
    rows = []
    built: dict[str, tuple[FaissIndex, float]] = {}
    for name, parameters in index_grid(len(library.z), library.z.shape[1], code_bits):
        shape = json.dumps({**parameters.to_json(), "ef_search": 0, "nprobe": 0})
        if shape not in built:
            built.clear()
            built[shape] = _built(library, parameters)
        index, size = built[shape]
        index.parameters = parameters
        found = [index.search(query, 100)[0] for query in queries.z]
        shares = [
            len(set(some[:K].tolist()) & set(right.tolist())) / K for some, right in zip(found, exact, strict=True)
        ]
        timing = timed(lambda number, index=index: index.search(queries.z[number], K), len(queries.z))
        rows.append(
            IndexRow(
                name, parameters.kind, dict(parameters.to_json()), float(np.mean(shares)),
                quality(found, queries, library), timing, size,
            )
        )  # fmt: skip
        click.echo(f"{name}: recall {rows[-1].recall:.3f}, p50 {timing.p50:.3f} ms", err=True)
    return rows


def _built(library: Half, parameters: IndexParameters) -> tuple[FaissIndex, float]:
    index = FaissIndex(library.z.shape[1], parameters, library.z)
    index.add(library.z)
    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder) / "index")
        return index, (Path(folder) / "index").stat().st_size / len(library.z)


def measure_metrics(library: Half, queries: Half) -> dict[str, Quality]:
    """Cosine against distance, with unit vectors and with lengths that say nothing (drawn, log-normal, spread .3)."""
    lengths = np.exp(np.random.default_rng(0).normal(0.0, 0.3, len(library.z))).astype(np.float32)
    out = {}
    for name, rows, metric in (
        ("cosine", library.z, "cosine"),
        ("L2, unit vectors", library.z, "l2"),
        ("L2, vectors of different lengths", library.z * lengths[:, None], "l2"),
    ):
        index = FaissIndex(rows.shape[1], IndexParameters("flat", metric=metric))  # type: ignore[arg-type]
        index.add(rows)
        out[name] = quality([index.search(query, 100)[0] for query in queries.z], queries, library)
    return out


def fusion_grid() -> Iterator[tuple[str, float | None, FusionSettings]]:
    """Every fusion that is compared."""
    for alpha in GRID:
        yield "weighted", alpha, FusionSettings("weighted", alpha, round(1 - alpha, 1))
    yield "rrf", None, FusionSettings("rrf", k0=60)
    yield "borda", None, FusionSettings("borda")


def measure_fusions(given: Candidates, queries: Half, library: Half) -> list[FusionRow]:
    """Every second stage, stage N and fusion."""
    return [
        FusionRow(method, stage_n, fusion, alpha, quality(ranked(given, method, stage_n, settings), queries, library))
        for method in METHODS
        for stage_n in STAGE_N
        for fusion, alpha, settings in fusion_grid()
    ]


def measure_service(library: Half, queries: Half) -> dict[str, Timing]:
    """A whole search of the collection, catalog and sequences included, by stage and N."""
    out = {}
    with tempfile.TemporaryDirectory() as folder:
        collection = VectorCollection.create(Path(folder) / "collection")
        for start in range(0, len(library.ids), 1_000):
            some = range(start, min(start + 1_000, len(library.ids)))
            collection.add([VectorItem(library.ids[n], library.z[n], {}, library.vec[n]) for n in some])
        collection.build()
        count = min(50, len(queries.ids))
        out["one stage"] = timed(lambda n: collection.search(SearchRequest(queries.z[n], k=K)), count)
        for method in METHODS:
            for stage_n in STAGE_N:
                out[f"{method}, N={stage_n}"] = timed(
                    lambda n, method=method, stage_n=stage_n: collection.search(
                        SearchRequest(queries.z[n], k=K, stage_n=stage_n, vec=queries.vec[n], second_stage=method)
                    ),
                    count,
                )
        collection.close()
    return out


def best_index(rows: list[IndexRow], kind: str) -> IndexRow:
    """The quickest of a kind that finds enough of the exact answer; else the one that finds most."""
    mine = [row for row in rows if row.kind == kind]
    enough = [row for row in mine if row.recall >= WANTED_RECALL]
    return min(enough, key=lambda row: row.timing.p50) if enough else max(mine, key=lambda row: row.recall)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), required=True)
@click.option("--library", "library_size", default=16_000, show_default=True, type=click.IntRange(1_000))
@click.option(
    "--bits", multiple=True, default=(4, 8), show_default=True, type=click.Choice([4, 8]), help="Of PQ codes."
)
@click.option("--queries", default=300, show_default=True, type=click.IntRange(10))
def main(folder: Path, report: Path, library_size: int, queries: int, bits: tuple[int, ...]) -> None:
    """Measure, choose on validation, report on test."""
    library, validation, test = read_split(folder, library_size, queries)
    click.echo(f"{len(library.ids):,} in the library, {len(validation.ids)} + {len(test.ids)} queries", err=True)
    given = candidates(validation, library)
    fusions = measure_fusions(given, validation, library)
    chosen = max(fusions, key=lambda row: (round(row.quality.precision, 4), row.quality.mean_average))
    held_out = candidates(test, library)
    settings = next(one for fusion, alpha, one in fusion_grid() if (fusion, alpha) == (chosen.fusion, chosen.alpha))
    tested = {
        "first stage alone": quality(list(held_out.places), test, library),
        "the seed's start (dtw, N=100, α=.6)": quality(ranked(held_out, "dtw", 100, FusionSettings()), test, library),
        "chosen": quality(ranked(held_out, chosen.method, chosen.stage_n, settings), test, library),
    }
    indexes = measure_indexes(library, validation, bits)
    kinds = dict.fromkeys(row.kind for row in indexes)
    chosen_indexes = [best_index(indexes, kind) for kind in kinds]
    retested = measure_chosen(library, test, chosen_indexes)
    results = {
        "indexes": indexes,
        "chosen_indexes": retested,
        "metrics": measure_metrics(library, validation),
        "fusions": fusions,
        "chosen": chosen,
        "tested": tested,
        "service": measure_service(library, test),
        "library": len(library.ids),
        "dimension": library.z.shape[1],
        "queries": len(test.ids),
        "depth": DEPTH,
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {name: version(name) for name in ("faiss-cpu", "numpy", "numba", "sqlalchemy")},
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
    }
    draw(results, report.parent / "images")
    report.write_text(page(results), encoding="utf-8")
    print(json.dumps({"chosen": asdict(chosen), "tested": {name: asdict(one) for name, one in tested.items()}}))


def measure_chosen(library: Half, queries: Half, rows: list[IndexRow]) -> list[IndexRow]:
    """The chosen index of each kind again, asked the test queries."""
    exact = np.argsort(-(queries.z @ library.z.T), axis=1, kind="stable")[:, :K]
    out = []
    for row in rows:
        parameters = IndexParameters(**row.parameters)  # type: ignore[arg-type]
        index, size = _built(library, parameters)
        found = [index.search(query, 100)[0] for query in queries.z]
        shares = [
            len(set(some[:K].tolist()) & set(right.tolist())) / K for some, right in zip(found, exact, strict=True)
        ]
        timing = timed(lambda number, index=index: index.search(queries.z[number], K), len(queries.z))
        out.append(
            IndexRow(
                row.name, row.kind, row.parameters, float(np.mean(shares)), quality(found, queries, library),
                timing, size,
            )
        )  # fmt: skip
    return out


if __name__ == "__main__":
    main()
