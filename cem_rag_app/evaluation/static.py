"""The static baseline: a text is the weighted mean of vectors of its words, looked up in a table.

Word vectors are a teacher's own: each word of a corpus's vocabulary is embedded alone, as model2vec does
(https://github.com/MinishLab/model2vec), weighted by a / (a + p(word)) and freed of the direction that all texts
share, as in Arora, Liang & Ma, *A Simple but Tough-to-Beat Baseline for Sentence Embeddings* (ICLR 2017). No figure
here is tuned: a = 0.001 and one direction are that paper's. Weights, projection and word vectors are all made from
the corpus and the teacher; no text that is measured on is read.

Since weighting and projection are linear, both are in the table's rows, and reading a text is a sum::

    DIR/config.json          teacher, dimension, words in the order of the rows, how it was made
    DIR/static.safetensors   table int8 (n, d), scales float32 (n,): the vector of row r is scales[r] * table[r]
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.cem.teachers.base import TextEncoder, unit_rows
from cem_rag_app.errors import CheckpointError, EmptyInputError
from cem_rag_app.schema import FloatArray

CONFIG = "config.json"
TABLE = "static.safetensors"
FORMAT = "static-words"
MADE_BY = "python -m scripts.make_static TEXTS --output DIR"

SMOOTHING = 1e-3
SAMPLE = 20_000
"""Texts whose common direction is taken out."""

_WORD = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """Return runs of letters and digits, in lower case.

    >>> words_of("It's 12.5% - Über_all")
    ['it', 's', '12', '5', 'über', 'all']
    """
    return _WORD.findall(text.lower())


@dataclass(frozen=True, eq=False)
class StaticEncoder:
    """Text to unit vectors by looking words up; a `TextEncoder`. Questions and documents are read alike.

    Args:
        teacher: name of the encoder whose word vectors these are.
        words: one for each row.
        table: (n, d) int8.
        scales: (n,) float32.
    """

    teacher: str
    words: tuple[str, ...]
    table: NDArray[np.int8]
    scales: NDArray[np.float32]

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {word: row for row, word in enumerate(self.words)}

    @property
    def name(self) -> str:
        """Of the vector space, which no student lives in."""
        return f"static:{self.teacher}"

    @property
    def dimension(self) -> int:
        """Of the vectors."""
        return int(self.table.shape[1])

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Encode questions: (n, dimension) float32, unit rows."""
        return self.encode_documents(texts)

    def encode_documents(self, texts: Sequence[str]) -> FloatArray:
        """Encode passages: (n, dimension) float32, unit rows; a text without a known word is the first basis vector."""
        sums = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for number, text in enumerate(texts):
            sums[number] = self._sum(text)
        return unit_rows(sums)

    def _sum(self, text: str) -> FloatArray:
        counts = Counter(row for word in words_of(text) if (row := self._rows.get(word)) is not None)
        rows = np.fromiter(counts, dtype=np.int64, count=len(counts))
        weights = np.fromiter(counts.values(), dtype=np.float32, count=len(counts)) * self.scales[rows]
        total: FloatArray = weights @ self.table[rows].astype(np.float32)
        return total

    def save(self, folder: str | Path, made: dict[str, Any] | None = None) -> None:
        """Write both files; ``made`` says how, for people."""
        from safetensors.numpy import save

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TABLE).write_bytes(save({"table": self.table, "scales": self.scales}))
        config = {"format": FORMAT, "teacher": self.teacher, "made": made or {}, "words": self.words}
        (folder / CONFIG).write_text(json.dumps(config, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> StaticEncoder:
        """Read and check a table.

        Raises:
            CheckpointError: it is missing, damaged, or its parts do not fit one another.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        folder = Path(folder)
        remedy = f"Make it: {MADE_BY}"
        try:
            config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
            parts = load_file(folder / TABLE)
            teacher, words = str(config["teacher"]), tuple(config["words"])
            table, scales = parts["table"], parts["scales"]
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise CheckpointError(f"No static table can be read from {folder} ({error}).", remedy=remedy) from error
        shapes = table.dtype == np.int8 and table.ndim == 2 and scales.dtype == np.float32
        if config.get("format") != FORMAT or not shapes or not len(words) == len(table) == len(scales):
            raise CheckpointError(f"The files of the static table in {folder} do not fit one another.", remedy=remedy)
        return cls(teacher, words, table, scales)


def make_static(
    texts: Iterable[str],
    teacher: TextEncoder,
    *,
    words: int = 30_000,
    least: int = 5,
    smoothing: float = SMOOTHING,
    sample: int = SAMPLE,
) -> StaticEncoder:
    """Make a table from a corpus and a teacher.

    Args:
        texts: the corpus; read once.
        teacher: embeds each word of the vocabulary alone.
        words: the commonest that are taken.
        least: times a word must occur.
        smoothing: the weight's a; the smaller, the less common words count.
        sample: texts, the first of the corpus, whose common direction is taken out.

    Returns:
        The baseline.

    Raises:
        EmptyInputError: no word occurs often enough.
    """
    counts: Counter[str] = Counter()
    kept: list[str] = []
    for text in texts:
        counts.update(words_of(text))
        if len(kept) < sample:
            kept.append(text)
    # Most common first, equal counts by spelling: the table does not depend on the order of the texts.
    ordered = sorted(((count, word) for word, count in counts.items() if count >= least), key=lambda c: (-c[0], c[1]))
    vocabulary = tuple(word for _, word in ordered[:words])
    if not vocabulary:
        raise EmptyInputError(f"No word occurs {least} times in the corpus.", remedy="Give more text.")
    total = sum(counts.values())
    weights = np.array([smoothing / (smoothing + counts[word] / total) for word in vocabulary], dtype=np.float32)
    vectors = teacher.encode_documents(vocabulary) * weights[:, None]
    common = _common_direction(StaticEncoder(teacher.name, vocabulary, *_quantised(vectors)).encode_documents(kept))
    return StaticEncoder(teacher.name, vocabulary, *_quantised(vectors - np.outer(vectors @ common, common)))


def _common_direction(vectors: FloatArray) -> FloatArray:
    """Return the first right singular vector, (d,) float32, from the (d, d) matrix of products."""
    products = vectors.T.astype(np.float64) @ vectors
    direction: FloatArray = np.linalg.eigh(products)[1][:, -1].astype(np.float32)
    return direction


def _quantised(vectors: FloatArray) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    scales = (np.abs(vectors).max(axis=1) / 127).astype(np.float32)
    table = np.rint(vectors / np.where(scales > 0, scales, 1)[:, None]).astype(np.int8)
    return table, scales
