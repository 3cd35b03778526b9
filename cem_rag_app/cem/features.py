"""Compressed frames to sparse counts of features: words, pairs and letter n-grams, or character n-grams."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.cem.symbols.batch import extract_features
from cem_rag_app.cem.symbols.lookup import build_lookup
from cem_rag_app.cem.symbols.options import BUCKETS, EDGES, KIND, OPTIONS, PAIR_BUCKETS, PAIRS, VOCABULARY
from cem_rag_app.cem.symbols.parse import LIMIT, raise_frame_error
from cem_rag_app.cem.symbols.tables import SharedTables
from cem_rag_app.cem.symbols.types import Integers, Table
from cem_rag_app.schema import FloatArray

CountWeight = Literal["count", "log", "root"]
FeatureKind = Literal["words", "tokens"]


@dataclass(frozen=True)
class FeatureConfig:
    """Which features of a chunk are read.

    Attributes:
        kind: ``words`` with pairs and letter n-grams (``symbols.words``), or ``tokens``: the character n-grams of the
            embedded Chinese encoder (``symbols.tokens``).
        edges: whether features may lie across the borders of spans.
        pairs: of words: whether pairs of neighbouring ones count.
        buckets: rows for what is outside the vocabulary: letter n-grams of words, or single tokens; 0 drops it.
        pair_buckets: of tokens: rows for pairs outside the vocabulary.
        count_weight: what a feature that occurs ``c`` times weighs: ``c``, ``1 + ln c`` or ``sqrt c``.
    """

    kind: FeatureKind = "words"
    edges: bool = True
    pairs: bool = True
    buckets: int = 4096
    pair_buckets: int = 0
    count_weight: CountWeight = "log"


@dataclass(frozen=True, eq=False)
class FeatureCounts:
    """Features of ``n`` chunks, sparse: chunk ``i`` has rows ``indices[bounds[i]:bounds[i + 1]]``.

    Attributes:
        bounds: (n + 1,) int64.
        indices: (m,) int32.
        weights: (m,) float32, from the counts.
    """

    bounds: Integers
    indices: Table
    weights: FloatArray


@dataclass(frozen=True, eq=False)
class FeatureReader:
    """Compressed frames to feature counts.

    Attributes:
        hashes: (v,) int64, the vocabulary; a feature's row is its place here.
        config: which features are read.
        fold: (65536,) uint16, how characters are folded; needed for tokens alone.
    """

    hashes: Integers
    config: FeatureConfig
    fold: NDArray[np.uint16] = field(default_factory=lambda: np.zeros(65536, dtype=np.uint16))
    _keys: Integers = field(init=False)
    _rows: Table = field(init=False)
    _options: Integers = field(init=False)

    def __post_init__(self) -> None:
        size = 1 << max(4, int(2 * self.hashes.size).bit_length())
        keys = np.zeros(size, dtype=np.int64)
        rows = np.zeros(size, dtype=np.int32)
        build_lookup(np.ascontiguousarray(self.hashes), keys, rows)
        options = np.zeros(OPTIONS, dtype=np.int64)
        options[KIND] = self.config.kind == "tokens"
        options[EDGES] = self.config.edges
        options[PAIRS] = self.config.pairs
        options[BUCKETS] = self.config.buckets
        options[PAIR_BUCKETS] = self.config.pair_buckets
        options[VOCABULARY] = self.hashes.size
        object.__setattr__(self, "_keys", keys)
        object.__setattr__(self, "_rows", rows)
        object.__setattr__(self, "_options", options)

    @property
    def size(self) -> int:
        """Rows a table for these features has."""
        return int(self.hashes.size) + self.config.buckets + self.config.pair_buckets

    def read(self, frames: list[bytes], tables: SharedTables) -> FeatureCounts:
        """Read the features of magicless frames that were made with one dictionary.

        Raises:
            FrameError: a frame is damaged; the message says which.
        """
        starts = np.zeros(len(frames) + 1, dtype=np.int64)
        np.cumsum([len(frame) for frame in frames], out=starts[1:])
        code, number, bounds, indices, counts = extract_features(
            np.frombuffer(b"".join(frames), dtype=np.uint8),
            starts,
            tables.content,
            tables.dictionary_id,
            tables.huffman,
            tables.fse,
            tables.predefined,
            tables.state,
            self._options,
            self.fold,
            self._keys,
            self._rows,
            LIMIT,
        )
        if code < 0:
            raise_frame_error(int(code), int(number))
        return FeatureCounts(bounds, indices, _weigh(counts, self.config.count_weight))


def _weigh(counts: Table, kind: CountWeight) -> FloatArray:
    values = counts.astype(np.float32)
    if kind == "log":
        return np.float32(1.0) + np.log(values)
    return np.sqrt(values) if kind == "root" else values
