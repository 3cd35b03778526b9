"""Compressed frames to patches, ready for a sequence model. numpy and numba only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cem_rag_app.cem.symbols.lookup import build_lookup
from cem_rag_app.cem.symbols.options import BUCKETS, EDGES, OPTIONS, VOCABULARY
from cem_rag_app.cem.symbols.parse import LIMIT, raise_frame_error
from cem_rag_app.cem.symbols.patches import extract_patches
from cem_rag_app.cem.symbols.tables import SharedTables
from cem_rag_app.cem.symbols.types import Integers, Table
from cem_rag_app.schema import FloatArray


@dataclass(frozen=True, eq=False)
class Patches:
    """Patches of ``n`` chunks.

    Attributes:
        bounds: (n + 1,) int64; chunk ``i`` has the patches ``bounds[i]:bounds[i + 1]``.
        entries: (p + 1,) int64; patch ``j`` has the table rows ``indices[entries[j]:entries[j + 1]]``.
        indices: (m,) int32.
        weights: (m,) float32.
    """

    bounds: Integers
    entries: Integers
    indices: Table
    weights: FloatArray

    @property
    def lengths(self) -> Integers:
        """(n,) int64, patches of each chunk."""
        return np.diff(self.bounds)

    def select(self, chosen: Integers) -> Patches:
        """Those of some chunks, in the order given."""
        patches, bounds = _ranges(self.bounds, chosen)
        places, entries = _ranges(self.entries, patches)
        return Patches(bounds, entries, self.indices[places], self.weights[places])


@dataclass(frozen=True, eq=False)
class PatchReader:
    """Finds the patches of frames.

    Attributes:
        hashes: (v,) int64, the words known, the commonest first; a word's row is its place here.
        buckets: rows behind them, shared by the letter 3-, 4- and 5-grams of other words.
        joined: how many of the commonest words join the next word's patch.
    """

    hashes: Integers
    buckets: int
    joined: int
    _keys: Integers = field(init=False)
    _rows: Table = field(init=False)
    _options: Integers = field(init=False)

    def __post_init__(self) -> None:
        size = 1 << max(4, int(2 * self.hashes.size).bit_length())
        keys = np.zeros(size, dtype=np.int64)
        rows = np.zeros(size, dtype=np.int32)
        build_lookup(np.ascontiguousarray(self.hashes), keys, rows)
        options = np.zeros(OPTIONS, dtype=np.int64)
        options[EDGES] = 1
        options[BUCKETS] = self.buckets
        options[VOCABULARY] = self.hashes.size
        object.__setattr__(self, "_keys", keys)
        object.__setattr__(self, "_rows", rows)
        object.__setattr__(self, "_options", options)

    @property
    def size(self) -> int:
        """Rows a table for these patches has."""
        return int(self.hashes.size) + self.buckets

    def read(self, frames: Sequence[bytes], tables: SharedTables) -> Patches:
        """Read the patches of magicless frames that were made with one dictionary.

        Raises:
            FrameError: a frame is damaged; the message says which.
        """
        starts = np.zeros(len(frames) + 1, dtype=np.int64)
        np.cumsum([len(frame) for frame in frames], out=starts[1:])
        code, number, bounds, entries, indices, weights = extract_patches(
            np.frombuffer(b"".join(frames), dtype=np.uint8),
            starts,
            tables.content,
            tables.dictionary_id,
            tables.huffman,
            tables.fse,
            tables.predefined,
            tables.state,
            self._options,
            self._keys,
            self._rows,
            self.joined,
            LIMIT,
        )
        if code < 0:
            raise_frame_error(int(code), int(number))
        return Patches(bounds, entries, indices, weights)


def _ranges(bounds: Integers, chosen: Integers) -> tuple[Integers, Integers]:
    """Members of the ranges ``chosen``, one range behind another, and the new bounds."""
    sizes = bounds[chosen + 1] - bounds[chosen]
    ends = np.zeros(chosen.size + 1, dtype=np.int64)
    np.cumsum(sizes, out=ends[1:])
    members = np.arange(ends[-1]) + np.repeat(bounds[chosen] - ends[:-1], sizes)
    return members, ends
