"""Frames of one dictionary -> frames of another, when a memory has grown enough to train its own.

This is training-side work: it opens every chunk, and no search waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary
from cem_rag_app.zpkg.late import DEFAULT_LIMIT, decompress


def recompress(
    frames: Iterable[bytes], old: Dictionary, compressor: Compressor, *, limit: int = DEFAULT_LIMIT
) -> Iterator[bytes]:
    """Each frame again, compressed by ``compressor``; one chunk is in memory at a time.

    Raises:
        FrameError: a frame is damaged or belongs to another dictionary than ``old``.
    """
    for frame in frames:
        yield compressor.compress(decompress(frame, old, limit=limit))
