"""What the ablation of the vector service measures: a library and queries, and quality by labels."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.corpora.hdf5 import VectorFile, VectorFolder
from cem_rag_app.errors import EmptyInputError
from cem_rag_app.schema import FloatArray
from cem_rag_app.vectors.distances import similarities
from scripts.make_macros import SPLIT_FILE
from stores.vectors.items import FusionSettings, SecondStage
from stores.vectors.ranking import fuse

DEPTH = 200
"""Candidates a query keeps: the largest stage N."""

K = 10
METHODS: tuple[SecondStage, ...] = ("aligned", "dtw", "edit")


@dataclass(frozen=True, slots=True)
class Half:
    """Parts of one side of the split: unit vectors (n, d), sequences, and labels as numbers (n,)."""

    z: FloatArray
    vec: list[FloatArray]
    labels: NDArray[np.int64]
    ids: list[str]


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over queries; relevant is what has the query's label.

    Attributes:
        precision: of the first 10.
        recall: of the first 100, of all that is relevant or 100, whichever is less.
        mean_average: average precision of the first 100, over the same number.
    """

    precision: float
    recall: float
    mean_average: float


def read_split(folder: Path, parts: int, queries: int) -> tuple[Half, Half, Half]:
    """Library (train), validation and test queries of a folder that ``make_macros`` wrote.

    Raises:
        EmptyInputError: a side of the split has no file.
    """
    source = VectorFolder(folder / "vec")
    split = json.loads((folder / SPLIT_FILE).read_bytes())
    path_of = {source.identifier(path): path for path in source.paths}
    shape = source.shape()
    numbers: dict[str | None, int] = {}
    halves = []
    for name, limit in (("train", parts), ("validation", queries), ("test", queries)):
        wanted = [path_of[one] for one in split[name][:limit] if one in path_of]
        files = [file for file in source.read(wanted, shape) if isinstance(file, VectorFile) and file.vec is not None]
        if not files:
            raise EmptyInputError(f"no file of the split {name!r} can be read.", file=folder)
        z = np.stack([file.z for file in files])
        halves.append(
            Half(
                z / np.linalg.norm(z, axis=1, keepdims=True),
                [file.vec for file in files if file.vec is not None],
                np.array([numbers.setdefault(file.label, len(numbers)) for file in files]),
                [file.id for file in files],
            )
        )
    return halves[0], halves[1], halves[2]


def quality(found: Sequence[NDArray[np.int64]], queries: Half, library: Half) -> Quality:
    """Quality of the places in the library found for each query, best first."""
    precision, recall, average = [], [], []
    for places, label in zip(found, queries.labels, strict=True):
        right = library.labels[places[:100]] == label
        possible = min(100, int((library.labels == label).sum()))
        at = np.cumsum(right) / np.arange(1, len(right) + 1)
        precision.append(float(right[:K].mean()) if len(right) else 0.0)
        recall.append(float(right.sum() / possible))
        average.append(float((at * right).sum() / possible))
    return Quality(float(np.mean(precision)), float(np.mean(recall)), float(np.mean(average)))


@dataclass(frozen=True, slots=True)
class Candidates:
    """The first stage's (q, DEPTH) places and cosines, and what each second stage says of them."""

    places: NDArray[np.int64]
    first: FloatArray
    second: dict[SecondStage, FloatArray]


def candidates(queries: Half, library: Half) -> Candidates:
    """Exact first stage, and all second stages over its candidates."""
    similar = queries.z @ library.z.T
    places = np.argsort(-similar, axis=1, kind="stable")[:, :DEPTH]
    second = {
        method: np.stack(
            [
                similarities(query, [library.vec[place] for place in row.tolist()], method)
                for query, row in zip(queries.vec, places, strict=True)
            ]
        )
        for method in METHODS
    }
    return Candidates(places, np.take_along_axis(similar, places, axis=1).astype(np.float32), second)


def ranked(given: Candidates, method: SecondStage, stage_n: int, settings: FusionSettings) -> list[NDArray[np.int64]]:
    """Places in the order of the fusion; what stage N leaves out follows in the order of the first stage."""
    out = []
    for places, first, second in zip(given.places, given.first, given.second[method], strict=True):
        scores = fuse(np.stack((first[:stage_n], second[:stage_n]), axis=1), settings)
        order = np.argsort(-scores, kind="stable")
        out.append(np.concatenate((places[:stage_n][order], places[stage_n:])))
    return out


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds of this thread's processor time a query: other work on the machine does not count."""

    p50: float
    p95: float
    per_second: float


def timed(ask: Callable[[int], object], count: int) -> Timing:
    """Time ``ask(0)`` to ``ask(count - 1)``, after a few that warm up."""
    for number in range(min(5, count)):
        ask(number)
    spent = []
    for number in range(count):
        start = time.thread_time_ns()
        ask(number)
        spent.append((time.thread_time_ns() - start) / 1e6)
    return Timing(float(np.percentile(spent, 50)), float(np.percentile(spent, 95)), 1e3 / float(np.mean(spent)))
