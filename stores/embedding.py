"""Vectors of stored chunks, made from their frames: the only thing that indexing does with a document (I1, I2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from sqlalchemy import Connection, select

from cem_rag_app.cem.pair import Encoders, FrameEncoder
from cem_rag_app.schema import FloatArray
from cem_rag_app.zpkg.dictionary import Dictionary
from stores.catalog.tables import chunks
from stores.frames import FrameStore, StoredFrame
from stores.indexes.base import IntArray

NO_DICTIONARY = Dictionary(b"")
_PROBE_FRAME = bytes.fromhex(
    "00008902005468652077696e67206f66206120706c616e65206361727269657320612073686f636b20776176652e20"
    "e4bb8ae5a4a9e68891e4bbace58ebbe59083e781abe99485efbc8ce5a5bde4b88de5a5bdefbc9f"
)
"""A frame without dictionary: one English sentence and one Chinese."""
_PROBE_LENGTH = 16
BATCH = 1_024
"""Frames given to the encoder at once."""


class Embedder:
    """Embeds the chunks of one memory.

    Args:
        frames: of the memory.
        encoders: gives the encoders, made when they are first needed.
    """

    def __init__(self, frames: FrameStore, encoders: Callable[[], Encoders]) -> None:
        self._frames = frames
        self._encoders = encoders

    @property
    def encoder(self) -> FrameEncoder:
        """What reads the frames."""
        return self._encoders().document

    def probe(self) -> tuple[float, ...]:
        """What the encoder makes of one fixed frame: two students of one name are told apart by it."""
        return tuple(self.encoder.encode([_PROBE_FRAME], NO_DICTIONARY)[0, :_PROBE_LENGTH].tolist())

    def of_chunks(self, chunk_ids: Sequence[int], batch_size: int = BATCH) -> tuple[IntArray, FloatArray]:
        """Ids (m,) and vectors (m, d) of those chunks that exist, in the order given.

        Raises:
            MemoryCorruptError: a frame is damaged.
        """
        stored = self._frames.frames(chunk_ids)
        kept = [chunk_id for chunk_id in chunk_ids if chunk_id in stored]
        vectors = self._encode([stored[chunk_id] for chunk_id in kept], batch_size)
        return np.asarray(kept, dtype=np.int64), vectors

    def _encode(self, stored: Sequence[StoredFrame], batch_size: int) -> FloatArray:
        """Vectors (n, d) of frames, which may need different dictionaries."""
        encoder = self.encoder
        out = np.empty((len(stored), encoder.dimension), dtype=np.float32)
        for key in dict.fromkeys(frame.dictionary_key for frame in stored):
            rows = [row for row, frame in enumerate(stored) if frame.dictionary_key == key]
            dictionary = stored[rows[0]].dictionary
            for start in range(0, len(rows), batch_size):
                some = rows[start : start + batch_size]
                out[some] = encoder.encode([stored[row].frame for row in some], dictionary)
        return out


def ids_after(connection: Connection, chunk_id: int, limit: int) -> IntArray:
    """The next chunk ids in order."""
    statement = select(chunks.c.chunk_id).where(chunks.c.chunk_id > chunk_id).order_by(chunks.c.chunk_id).limit(limit)
    return np.fromiter(connection.execute(statement).scalars(), dtype=np.int64)
