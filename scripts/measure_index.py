"""What kinds of vector index cost and find in one memory: ``python -m scripts.measure_index --help``.

Truth is exact search over the vectors that CEM makes of every frame. Each row gives bytes a vector, recall@10, and the
time of one search on one thread, without the encoder of the question; with ``refine``, the best candidates' vectors
are made again from their frames within that time.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from cem_rag_app.corpora.beir import read_documents
from cem_rag_app.schema import FloatArray
from stores.embedding import Embedder, ids_after
from stores.indexes.base import IndexParameters, IntArray
from stores.indexes.kinds import AnyIndex, make_index
from stores.memory import Memory

_PIECE = 4_096
_SAMPLE = 20_000
K = 10
Search = Callable[[FloatArray], IntArray]


@click.command()
@click.argument("memory_folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("queries_file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-n", "count", default=500, show_default=True, help="Queries.")
@click.option("--vectors", type=click.Path(path_type=Path), help="Where exact vectors are kept between runs (.npy).")
@click.option("--code-bytes", "sizes", multiple=True, type=int, default=(64, 96, 128, 160, 192, 224), show_default=True)
@click.option("--refine", "refines", multiple=True, type=int, default=(0, 4, 8, 16, 24), show_default=True)
@click.option("--kind", "kinds", multiple=True, default=("flat", "ivf", "rabitq", "ivfpq", "hnsw"), show_default=True)
@click.option("--picture", type=click.Path(path_type=Path), help="Draw recall against bytes a vector (.png).")
@click.option("--filters/--no-filters", default=True, show_default=True, help="Also under filters of 1 % and 0.1 %.")
def main(
    memory_folder: Path,
    queries_file: Path,
    count: int,
    vectors: Path | None,
    sizes: tuple[int, ...],
    refines: tuple[int, ...],
    kinds: tuple[str, ...],
    picture: Path | None,
    filters: bool,
) -> None:
    """Print a Markdown table for the memory in MEMORY_FOLDER and questions in QUERIES_FILE (BEIR's queries.jsonl)."""
    from cem_rag_app.settings import Settings
    from ui.app import open_memory

    texts = [item.text for item in read_documents(queries_file)]
    with open_memory(Settings(memory=memory_folder)) as memory:
        queries = memory.encoders().query.encode_queries(texts[:: max(1, len(texts) // count)][:count])
        embedder = Embedder(memory.frames, memory.encoders)
        exact = _exact_vectors(memory, embedder, vectors)
        with memory.database.read() as connection:
            ids = ids_after(connection, 0, len(exact))
        bench = _Bench(exact, queries, lambda rows: embedder.of_chunks(ids[rows].tolist())[1], filters)
        click.echo(f"{len(exact):,} vectors of {exact.shape[1]}, {len(queries)} queries, k = {K}\n\n{_HEAD}")
        for size in sizes:
            bench.run(IndexParameters("codes", code_bytes=size), refines)
        for kind in kinds:
            bench.run(IndexParameters(kind), (0,))  # type: ignore[arg-type]
    if picture is not None:
        _draw(bench.points, picture)


_HEAD = (
    "| index | refine | bytes a vector | recall@10 | p50, ms | p95, ms | 1 %: recall, p50 | 0.1 %: recall, p50 |\n"
    + "|---|" + "---:|" * 7
)  # fmt: skip


class _Bench:
    def __init__(
        self, exact: FloatArray, queries: FloatArray, again: Callable[[IntArray], FloatArray], filters: bool
    ) -> None:
        self._exact = exact
        self._queries = queries
        self._again = again
        draw = np.random.default_rng(1)
        masks = [draw.random(len(exact)) < share for share in (0.01, 0.001)] if filters else []
        self._masks = [None, *masks]
        self._truths = [self._truth(mask) for mask in self._masks]
        self.points: list[tuple[str, int, float, float]] = []
        """Kind, candidates refined, bytes a vector, recall."""

    def run(self, parameters: IndexParameters, refines: tuple[int, ...]) -> None:
        """Build one index and print a row for each number of refined candidates."""
        sample = self._exact[:: max(1, len(self._exact) // _SAMPLE)] if parameters.kind == "codes" else self._exact
        index = make_index(self._exact.shape[1], parameters, sample, len(self._exact))
        for start in range(0, len(self._exact), _PIECE):
            index.add(self._exact[start : start + _PIECE])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "index"
            index.save(path)
            size = path.stat().st_size / len(self._exact)
        name = f"codes, {parameters.code_bytes} bytes" if parameters.kind == "codes" else parameters.kind
        for refine in refines:
            cells = list(self._cells(index, refine))
            self.points.append((parameters.kind, refine, size, float(cells[0].split()[0])))
            click.echo(f"| {name} | {refine} | {size:.1f} | {' | '.join(cells)} |")

    def _cells(self, index: AnyIndex, refine: int) -> Iterator[str]:
        for mask, truth in zip(self._masks, self._truths, strict=True):
            self._search(index, refine, mask, self._queries[0])
            times, shares = [], []
            for query, wanted in zip(self._queries, truth, strict=True):
                started = time.perf_counter()
                found = self._search(index, refine, mask, query)
                times.append(1000 * (time.perf_counter() - started))
                shares.append(len(np.intersect1d(found, wanted)) / len(wanted))
            recall, middle = float(np.mean(shares)), np.quantile(times, 0.5)
            if mask is None:
                yield f"{recall:.4f} | {middle:.3f} | {np.quantile(times, 0.95):.3f}"
            else:
                yield f"{recall:.4f}, {middle:.3f}"

    def _search(self, index: AnyIndex, refine: int, mask: np.ndarray | None, query: FloatArray) -> IntArray:
        """As :meth:`stores.live_index.LiveIndex.nearest` does it, over positions."""
        found, similarities = index.search(query, K + refine, mask)
        first = max(0, min(K, len(found)) - refine // 2)
        last = min(len(found), first + refine)
        if first < last:
            similarities[first:last] = self._again(found[first:last]) @ query
        return found[np.argsort(-similarities, kind="stable")[:K]]

    def _truth(self, mask: np.ndarray | None) -> list[IntArray]:
        rows = np.arange(len(self._exact)) if mask is None else np.flatnonzero(mask)
        chosen = self._exact[rows]
        return [rows[np.argsort(-(chosen @ query), kind="stable")[:K]] for query in self._queries]


def _draw(points: list[tuple[str, int, float, float]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for refine in sorted({refine for kind, refine, _, _ in points if kind == "codes"}):
        line = [(size, recall) for kind, count, size, recall in points if (kind, count) == ("codes", refine)]
        label = f"codes, {refine} candidates refined" if refine else "codes alone"
        axes.plot(*zip(*line, strict=True), marker="o", label=label)
    for kind, _, size, recall in points:
        if kind != "codes":
            axes.plot(size, recall, marker="s", color="0.4")
            axes.annotate(kind, (size, recall), xytext=(4, -12), textcoords="offset points", color="0.3")
    axes.set_xscale("log", base=2)
    axes.set_xticks([64, 128, 256, 512, 1024, 2048], labels=["64", "128", "256", "512", "1,024", "2,048"])
    axes.set_xlabel("bytes a vector")
    axes.set_ylabel("recall@10 against exact search")
    axes.axhline(0.97, color="0.7", linewidth=0.8, linestyle="--")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=150)


def _exact_vectors(memory: Memory, embedder: Embedder, kept: Path | None) -> FloatArray:
    if kept is not None and kept.exists():
        found: FloatArray = np.load(kept, allow_pickle=False)
        return found
    with memory.database.read() as connection:
        ids = ids_after(connection, 0, memory.status()["counts"]["chunks"])
    pieces = range(0, len(ids), _PIECE)
    vectors = np.concatenate([embedder.of_chunks(ids[p : p + _PIECE].tolist())[1] for p in tqdm(pieces, unit="piece")])
    if kept is not None:
        np.save(kept, vectors)
    return vectors


if __name__ == "__main__":
    main()
