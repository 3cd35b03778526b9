"""The tail of retrieval: the only place in the stores where frames become text again (I1).

Called for the few chunks that a caller will read, for what a caller deletes or re-packs, and by the text baseline.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from cem_rag_app.errors import MemoryCorruptError, ZpkgError
from cem_rag_app.schema import FloatArray, Message
from cem_rag_app.zpkg import late
from cem_rag_app.zpkg.dictionary import Dictionary
from stores.catalog.conversation import MessageRow
from stores.frames import FrameStore, StoredFrame
from stores.lexical.tokens import stored_terms

_log = logging.getLogger(__name__)

NO_DICTIONARY = Dictionary(b"")


def open_texts(frames: FrameStore, chunk_ids: Iterable[int], *, limit: int) -> dict[int, str]:
    """Texts by chunk id; a chunk that does not exist is left out.

    Raises:
        MemoryCorruptError: a frame, its pack or its dictionary is damaged or missing, or a chunk is no text.
        FrameError: a frame does not hold what a chunk holds, or more than ``limit`` bytes.
    """
    found = frames.frames(dict.fromkeys(chunk_ids))
    return {chunk_id: _open_text(frames, chunk_id, stored, limit=limit) for chunk_id, stored in found.items()}


def _open_text(frames: FrameStore, chunk_id: int, stored: StoredFrame, *, limit: int) -> str:
    try:
        return open_bytes(frames, stored, limit=limit).decode()
    except UnicodeDecodeError as error:
        raise MemoryCorruptError(
            f"Chunk {chunk_id} is no UTF-8 text (byte {error.start}).",
            remedy="Delete its document, or store it again from a text.",
        ) from error


def open_bytes(frames: FrameStore, stored: StoredFrame, *, limit: int) -> bytes:
    """The bytes of one chunk."""
    return late.decompress(stored.frame, stored.dictionary, limit=limit)


def open_terms(frames: FrameStore, chunk_ids: Iterable[int], *, limit: int) -> dict[int, str]:
    """Search terms by chunk id, for a lexical index that was lost: nothing else needs a text to make one.

    A chunk that cannot be opened is named in the log and left out: the others are to be found again.
    """
    wanted = list(chunk_ids)
    try:
        texts = open_texts(frames, wanted, limit=limit)
    except (MemoryCorruptError, ZpkgError):
        texts = {}
        for chunk_id in wanted:
            try:
                texts.update(open_texts(frames, [chunk_id], limit=limit))
            except (MemoryCorruptError, ZpkgError) as error:
                _log.warning("Chunk %d is left out of full-text search: %s", chunk_id, error)
    return {chunk_id: stored_terms(text) for chunk_id, text in texts.items()}


def open_messages(frames: FrameStore, rows: Sequence[MessageRow], *, limit: int) -> list[Message]:
    """Messages as they were written; each chunk that covers some of them is opened once."""
    texts = open_texts(frames, (row.chunk_id for row in rows), limit=limit)
    return [row.with_text(texts[row.chunk_id]) for row in rows if row.chunk_id in texts]


def open_record(frame: bytes, *, limit: int) -> str:
    """A turn's record, compressed without dictionary."""
    return late.read_text(frame, NO_DICTIONARY, limit=limit)


class TextBaseline:
    """Embeds chunks by opening them and asking a text model: what CEM is measured against.

    Args:
        name: recorded in the index, so that vectors of different models are never mixed.
        dimension: of the vectors.
        encode_documents: texts -> (n, dimension) float32, unit rows.
    """

    quick = False

    def __init__(
        self,
        name: str,
        dimension: int,
        encode_documents: Callable[[Sequence[str]], FloatArray],
        *,
        limit: int = late.DEFAULT_LIMIT,
    ) -> None:
        self.name = f"text-baseline:{name}"
        self.teacher = name
        self.dimension = dimension
        self._encode_documents = encode_documents
        self._limit = limit

    def encode(self, frames: Sequence[bytes], dictionary: Dictionary) -> FloatArray:
        """Encode frames of one dictionary: (n, dimension) float32, unit rows."""
        return self._encode_documents([late.read_text(frame, dictionary, limit=self._limit) for frame in frames])
