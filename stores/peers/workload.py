"""The one load that all stores get: texts, vectors, queries, filters, and what an exact search finds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.errors import InputError
from cem_rag_app.schema import FloatArray
from stores.peers.base import Only, Row

ROWS, VECTORS, QUERIES, EXACT = "rows.jsonl", "vectors.npy", "queries.npy", "exact.npy"
SCOPES = ("all", "percent", "permille")
TOLERANCE = 1e-5
"""Similarities closer than this are one rank: equal chunks, or the last bits of float32."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Rows and queries in a folder; vectors are memory-mapped.

    Attributes:
        folder: where its files lie.
        vectors: (n, d) float32, unit, row by row.
        queries: (q, d) float32, unit.
        exact: (3, q) float32: similarity of the k-th best row, among all rows and under each query's two filters.
    """

    folder: Path
    vectors: FloatArray
    queries: FloatArray
    exact: FloatArray

    @classmethod
    def open(cls, folder: Path, *, with_vectors: bool = True) -> Workload:
        """Open the files of :func:`write_workload`; without vectors nothing large is touched.

        Raises:
            InputError: there are none.
        """
        if not (folder / EXACT).exists():
            raise InputError("there is no workload.", file=folder, remedy="Let `cem-rag bench search --peers` make it.")
        vectors = np.load(folder / VECTORS, mmap_mode="r") if with_vectors else np.empty((0, 0), np.float32)
        return cls(folder, vectors, np.load(folder / QUERIES), np.load(folder / EXACT))

    def rows(self) -> list[Row]:
        """All rows, from the file."""
        with (self.folder / ROWS).open(encoding="utf-8") as file:
            return [Row(**json.loads(line)) for line in file]

    def only(self, query: int, scope: str) -> Only | None:
        """The filter that a query gets in a scope: each query another value."""
        if scope == "all":
            return None
        return Only("percent", query % 100) if scope == "percent" else Only("permille", query * 7 % 1000)


def write_workload(folder: Path, rows: Sequence[Row], vectors: FloatArray, queries: FloatArray, *, k: int) -> Workload:
    """Write a workload and search it exactly.

    Args:
        folder: made when it is missing.
        rows: (n) numbered from 0.
        vectors: (n, d) float32, unit.
        queries: (q, d) float32, unit.
        k: hits a query.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ROWS).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)
    np.save(folder / VECTORS, vectors)
    np.save(folder / QUERIES, queries)
    fields = {
        "percent": np.array([row.percent for row in rows]),
        "permille": np.array([row.permille for row in rows]),
    }
    draft = Workload(folder, vectors, queries, np.empty((0, 0), np.float32))
    exact = np.empty((len(SCOPES), len(queries)), dtype=np.float32)
    for number, query in enumerate(queries):
        similarities = vectors @ query
        for place, scope in enumerate(SCOPES):
            only = draft.only(number, scope)
            allowed = similarities if only is None else similarities[fields[only.field] == only.value]
            exact[place, number] = _kth(allowed, k)
    np.save(folder / EXACT, exact)
    return Workload.open(folder)


def _kth(similarities: FloatArray, k: int) -> float:
    """The k-th best, or the worst where there are fewer; 2 (nothing reaches it) where there are none."""
    if not len(similarities):
        return 2.0
    place = max(0, len(similarities) - k)
    return float(np.partition(similarities, place)[place])


class Judge:
    """Says how many of the texts that a store returned belong among the k best. It holds every row's digest."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._rows: dict[bytes, list[int]] = {}
        self._fields: dict[str, NDArray[np.int64]] = {}
        rows = workload.rows()
        for row in rows:
            self._rows.setdefault(digest(row.text), []).append(row.number)
        for field in SCOPES[1:]:
            self._fields[field] = np.array([getattr(row, field) for row in rows], dtype=np.int64)

    def recall(self, answers: Sequence[Sequence[bytes]], scope: str, k: int) -> float:
        """Mean over queries of found / findable; ``answers`` are digests of texts, one list a query, in their order.

        A row counts once, whatever its rank; one as similar as the k-th best counts, since nothing tells them apart.
        """
        found = wanted = 0.0
        for number, answer in enumerate(answers):
            only = self._workload.only(number, scope)
            findable = k if only is None else min(k, int((self._fields[only.field] == only.value).sum()))
            if not findable:
                continue
            returned = {row for one in answer for row in self._rows.get(one, ())}
            if only is not None:
                returned = {row for row in returned if self._fields[only.field][row] == only.value}
            similarities = self._workload.vectors[sorted(returned)] @ self._workload.queries[number]
            threshold = self._workload.exact[SCOPES.index(scope), number] - TOLERANCE
            found += min(findable, int((similarities >= threshold).sum())) / findable
            wanted += 1
        return found / wanted if wanted else 1.0


def digest(text: str) -> bytes:
    """Eight bytes that stand for a text, so that answers can be kept while memory is measured."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
