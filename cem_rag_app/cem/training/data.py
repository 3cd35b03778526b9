"""What a training run reads: texts with their teacher's vectors, and held-out query-passage pairs."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cem_rag_app.cem.teacher_cache import TeacherCache
from cem_rag_app.cem.teachers.base import TextEncoder
from cem_rag_app.errors import DimensionError, EmptyInputError
from cem_rag_app.schema import FloatArray

if TYPE_CHECKING:
    from cem_rag_app.cem.training.config import TrainingConfig


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Texts and what the teacher says of them.

    Attributes:
        corpus: every text there is, for counting features.
        texts: those to train on.
        targets: (n, d) float32, the teacher's vectors of them.
        held_texts: kept for measuring.
        held_targets: (h, d) float32.
        pair_queries: (p, d) float32, the teacher's vectors of the queries of held-out pairs; may be empty.
        pair_passages: the passages that answer them, in the same order.
        pair_targets: (p, d) float32, the teacher's vectors of the passages.
    """

    corpus: Sequence[str]
    texts: Sequence[str]
    targets: FloatArray
    held_texts: Sequence[str]
    held_targets: FloatArray
    pair_queries: FloatArray
    pair_passages: Sequence[str]
    pair_targets: FloatArray

    @classmethod
    def split(
        cls,
        corpus: list[str],
        texts: list[str],
        targets: FloatArray,
        pairs: Path | None,
        cache: TeacherCache,
        teacher: TextEncoder,
        held_out: int,
        held_out_pairs: int,
    ) -> TrainingData:
        """Hold out the last texts, and the pairs with every text that contains one of their passages."""
        queries, passages = read_pairs(pairs, held_out_pairs) if pairs is not None else ([], [])
        hidden = set(passages)
        keep = [number for number, text in enumerate(texts) if text not in hidden]
        texts = [texts[number] for number in keep]
        targets = targets[keep]
        cut = len(texts) - held_out
        nothing = np.zeros((0, teacher.dimension), dtype=np.float32)
        return cls(
            corpus=corpus,
            texts=texts[:cut],
            targets=targets[:cut],
            held_texts=texts[cut:],
            held_targets=targets[cut:],
            pair_queries=teacher.encode_queries(queries) if queries else nothing,
            pair_passages=passages,
            pair_targets=cache.encode(passages) if passages else nothing,
        )


def read_texts(path: Path, limit: int = 0) -> list[str]:
    """Read a passage a line, from ``.txt`` or ``.txt.gz``; empty lines keep their number.

    Raises:
        EmptyInputError: the file has no text.
    """
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    lines = text.splitlines()
    if not any(lines):
        raise EmptyInputError("There is no text to train on.", file=path, remedy="Give a file with a passage a line.")
    return lines[:limit] if limit else lines


def read_pairs(path: Path, count: int) -> tuple[list[str], list[str]]:
    """Read every n-th pair, so that ``count`` are spread over the file; one pair a query and a passage."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if len(row) == 3]
    queries: list[str] = []
    passages: list[str] = []
    seen: set[str] = set()
    for _, query, passage in rows[:: max(1, len(rows) // (count + count // 4 + 1))]:
        if len(queries) < count and query not in seen and passage not in seen and len(passage) > 80:
            queries.append(query)
            passages.append(passage)
            seen.update((query, passage))
    return queries, passages


def ranking_score(queries: FloatArray, passages: FloatArray) -> float:
    """Mean nDCG@10 where query ``i`` has the one relevant passage ``i``: ``1 / log2(1 + rank)`` up to rank 10."""
    similarity = queries @ passages.T
    ranks = (similarity > similarity.diagonal()[:, None]).sum(axis=1) + 1
    return float(np.where(ranks <= 10, 1.0 / np.log2(1.0 + ranks), 0.0).mean())


def gather(
    config: TrainingConfig, cache: TeacherCache, teacher: TextEncoder, tell: Callable[[int, int, str], None]
) -> TrainingData:
    """Read the texts and their teacher's vectors, from a file or from the teacher, and hold some out.

    Raises:
        EmptyInputError: too few passages.
        DimensionError: the vectors given are not the teacher's.
    """
    texts = read_texts(config.texts, config.limit)
    corpus = [text for text in texts if text]
    if config.vectors is not None:
        vectors = np.load(config.vectors, mmap_mode="r")
        if vectors.ndim != 2 or vectors.shape[1] != teacher.dimension:
            raise DimensionError(f"{config.vectors} holds no vectors of {config.teacher}.", remedy="Name another file.")
        texts = texts[: len(vectors)]
        targets = np.asarray(vectors[: len(texts)], dtype=np.float32)
        # A file that is still being filled ends in zeros.
        filled = np.flatnonzero(np.abs(targets).max(axis=1) > 0)
        texts, targets = [texts[row] for row in filled], targets[filled]
    else:
        texts = corpus
        targets = cache.encode(texts, progress=lambda done, total: tell(done, total, "asking the teacher"))
    if len(texts) < 2 * config.held_out:
        raise EmptyInputError(
            f"{len(texts)} passages are too few to hold {config.held_out} of them out.",
            file=config.texts,
            remedy="Give more passages, or a smaller held_out.",
        )
    return TrainingData.split(
        corpus, texts, targets, config.pairs, cache, teacher, config.held_out, config.held_out_pairs
    )
