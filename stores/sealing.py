"""Sealing search terms, also where what was sealed before is damaged: then frames are opened for their terms."""

from __future__ import annotations

import logging

from cem_rag_app.errors import MemoryCorruptError
from stores.frames import FrameStore
from stores.lexical.index import LexicalIndex
from stores.tail import open_terms

_log = logging.getLogger(__name__)


def seal_terms(lexical: LexicalIndex, frames: FrameStore, *, limit: int, force: bool) -> bool:
    """Seal fresh terms and drop those of deleted chunks; returns whether anything was written.

    Args:
        lexical: the memory's terms; the caller holds the writer lock.
        frames: where terms are read again when the sealed ones are damaged.
        limit: bytes that a chunk may expand to.
        force: also where little has changed.

    Raises:
        DiskFullError: no space is left; everything is as it was.
        MemoryCorruptError: the catalog is damaged.
    """
    try:
        return lexical.seal(force=force)
    except MemoryCorruptError as error:
        _log.warning("%s It is made again.", error)
    lexical.restore(lambda chunk_ids: open_terms(frames, chunk_ids, limit=limit))
    return True
