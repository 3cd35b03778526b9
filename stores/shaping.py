"""Which shape a memory's vector index should have, and making it over when it has another."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.schema import FloatArray
from cem_rag_app.settings import CodeSettings
from stores.embedding import Embedder
from stores.indexes.base import IndexParameters, IntArray, choose_kind
from stores.indexes.codes.index import CodeIndex
from stores.indexes.faiss_index import TRAIN_FROM
from stores.indexes.files import SavedIndex
from stores.indexes.kinds import AnyIndex, make_index

_Rows = TypeVar("_Rows", FloatArray, IntArray)

SAMPLE = 20_000
"""Vectors that codes are learned from at most, spread over the memory."""
_PIECE = 1024


def parameters_for(wanted: str, count: int, codes: CodeSettings) -> IndexParameters:
    """The shape for so many chunks.

    Args:
        wanted: ``auto`` or a kind.
        count: chunks.
        codes: bytes of a code.
    """
    kind = choose_kind(wanted, count)
    # Cells and codes are learned; a memory too small to learn from is searched exactly.
    if kind not in ("flat", "hnsw") and count < TRAIN_FROM:
        return IndexParameters("flat")
    if kind != "codes":
        return IndexParameters(kind)
    return IndexParameters("codes", code_bytes=codes.bytes)


def fits(index: AnyIndex, parameters: IndexParameters) -> bool:
    """Whether an index can stay as it is: of that kind, and its codes of that size and not outgrown."""
    if isinstance(index, CodeIndex):
        same_size = index.parameters.code_bytes == parameters.code_bytes
        return parameters.kind == "codes" and same_size and not index.outgrown
    return index.parameters.kind == parameters.kind


def keeps_vectors(index: AnyIndex) -> bool:
    """Whether an index holds vectors as they were, not codes of them."""
    return index.parameters.kind in ("flat", "hnsw", "ivf")


def learned_from(embedder: Embedder, chunk_ids: IntArray, parameters: IndexParameters) -> AnyIndex:
    """An empty index of codes that has learned from a sample of these chunks, which it is going to hold.

    A flat one where so many of them have been deleted meanwhile that too few are left to learn from.

    Raises:
        MemoryCorruptError: a frame is damaged.
    """
    _, training = embedder.of_chunks(_spread(chunk_ids).tolist())
    chosen = parameters if len(training) >= min(TRAIN_FROM, SAMPLE) else IndexParameters("flat")
    return make_index(embedder.encoder.dimension, chosen, training, len(chunk_ids))


def made_anew(embedder: Embedder, parameters: IndexParameters, state: SavedIndex) -> tuple[IntArray, AnyIndex]:
    """Ids and index of the live chunks in another shape.

    Raises:
        MemoryCorruptError: a frame is damaged.
    """
    chunk_ids = state.chunk_ids[state.live]
    if keeps_vectors(state.index):
        vectors = state.index.vectors(np.flatnonzero(state.live))
        return chunk_ids, _filled(parameters, vectors, state.index.dimension)
    # Codes are approximate: go back to the frames.
    if parameters.kind != "codes":
        kept, vectors = embedder.of_chunks(chunk_ids.tolist())
        return kept, _filled(parameters, vectors, state.index.dimension)
    index = learned_from(embedder, chunk_ids, parameters)
    found = []
    for start in range(0, len(chunk_ids), _PIECE):
        kept, vectors = embedder.of_chunks(chunk_ids[start : start + _PIECE].tolist())
        index.add(vectors)
        found.append(kept)
    return np.concatenate(found), index


def positions_of(chunk_ids: IntArray, wanted: IntArray) -> tuple[IntArray, NDArray[np.bool_]]:
    """Positions of those chunks that are among ascending ``chunk_ids``, and which those are: (m,), (n,) mask."""
    places = np.searchsorted(chunk_ids, wanted)
    held = np.zeros(len(wanted), dtype=bool)
    inside = places < len(chunk_ids)
    held[inside] = chunk_ids[places[inside]] == wanted[inside]
    return places[held].astype(np.int64), held


def _filled(parameters: IndexParameters, vectors: FloatArray, dimension: int) -> AnyIndex:
    training = _spread(vectors) if parameters.kind == "codes" else vectors
    index = make_index(dimension, parameters, training, len(vectors))
    if len(vectors):
        index.add(vectors)
    return index


def _spread(rows: _Rows) -> _Rows:
    return rows[:: -(-len(rows) // SAMPLE) or 1]
