"""``metrics.jsonl``: a line for every few steps and one for every epoch; and what is measured.

No line holds a time, so a run and its repetition write the same file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cem_rag_app.cem.students.base import Student
from cem_rag_app.cem.training.data import TrainingData
from cem_rag_app.errors import CheckpointError
from cem_rag_app.schema import FloatArray

METRICS = "metrics.jsonl"


class MetricsLog:
    """Lines of measurements that a resumed run goes on with where its state was saved.

    Args:
        path: of the file.
        length: bytes that are kept of it: 0 for a new run.

    Raises:
        CheckpointError: the file is shorter than that.
    """

    def __init__(self, path: Path, length: int = 0) -> None:
        size = path.stat().st_size if path.exists() else 0
        if size < length:
            raise CheckpointError(
                f"{path} has {size} bytes; the saved state was written after {length}.",
                remedy="Put the file back, or train from the start.",
            )
        self._file = path.open("ab")
        self._file.truncate(length)
        self._file.seek(length)

    def write(self, line: Mapping[str, Any]) -> None:
        """Append a line."""
        self._file.write((json.dumps(line) + "\n").encode())
        self._file.flush()

    def sync(self) -> int:
        """Make the lines durable; the bytes that there are."""
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def ranking_score(queries: FloatArray, passages: FloatArray) -> float:
    """Mean nDCG@10 where query ``i`` has the one relevant passage ``i``: ``1 / log2(1 + rank)`` up to rank 10."""
    similarity = queries @ passages.T
    ranks = (similarity > similarity.diagonal()[:, None]).sum(axis=1) + 1
    return float(np.where(ranks <= 10, 1.0 / np.log2(1.0 + ranks), 0.0).mean())


def measure(student: Student, data: TrainingData) -> dict[str, float]:
    """Look at passages that were not trained on, with the student as it would be shipped.

    Returns:
        ``cosine``: mean to the teacher's vectors of held-out passages. With pairs also ``ndcg@10`` of queries (the
        teacher's vectors) against passages (the student's) and, for comparison, ``teacher_ndcg@10``.
    """
    cosines = np.einsum("ij,ij->i", data.held.embed(student), data.held_targets)
    found = {"cosine": float(cosines.mean())}
    if len(data.pairs):
        found["ndcg@10"] = ranking_score(data.pair_queries, data.pairs.embed(student))
        found["teacher_ndcg@10"] = ranking_score(data.pair_queries, data.pair_targets)
    return found


def deciding(metrics: Mapping[str, float]) -> float:
    """What epochs are compared by: nDCG@10 of held-out pairs; without pairs cosine is all there is."""
    return metrics["ndcg@10"] if "ndcg@10" in metrics else metrics["cosine"]
