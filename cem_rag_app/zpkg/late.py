"""Late decompression: the only place where a frame becomes text again.

Import it from the retrieval tail, from training and text baselines, and from nowhere else: indexing, search and
scoring must work with this module replaced by one that raises (invariant I1).
"""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict

import zstandard

from cem_rag_app.errors import DictionaryError, FrameError, FrameTooLargeError
from cem_rag_app.zpkg.dictionary import Dictionary
from cem_rag_app.zpkg.frame import check_frame

DEFAULT_LIMIT = 1 << 20
_LIKELY_BYTES = 1 << 14  # python-zstandard allocates the whole bound at once; most chunks are far below this
_DICTIONARIES_KEPT = 8
_REMEDY = "Run `cem-rag check`: the pack is damaged, or the frame belongs to another dictionary."

_local = threading.local()


def decompress(frame: bytes, dictionary: Dictionary, *, limit: int = DEFAULT_LIMIT, crc32: int | None = None) -> bytes:
    """The chunk a frame holds.

    Frames carry no checksum of their own. A frame opened with another dictionary, or with a flipped bit inside a
    block, may decode to other bytes without zstd noticing; ``crc32`` is how a caller that must not show them,
    such as the catalog, closes that gap.

    Args:
        frame: exactly one frame.
        dictionary: the one it was compressed with.
        limit: bytes it may expand to; no more than about this is ever allocated.
        crc32: ``zlib.crc32`` of the chunk, when the caller keeps it.

    Raises:
        FrameError: the frame is damaged, truncated, followed by other bytes, or not what ``crc32`` says.
        FrameTooLargeError: it would expand beyond ``limit``.
        DictionaryError: the dictionary is damaged.
    """
    check_frame(frame)
    decompressor = _decompressor(dictionary)
    try:
        data: bytes = decompressor.decompress(frame, max_output_size=max(1, min(limit, _LIKELY_BYTES)))
    except zstandard.ZstdError:
        data = _decompress_carefully(decompressor, frame, limit)
    if len(data) > limit:
        raise FrameTooLargeError(f"A frame expands beyond {limit} bytes.", remedy=_REMEDY)
    if crc32 is not None and zlib.crc32(data) != crc32:
        raise FrameError("A frame does not hold the chunk its checksum names.", remedy=_REMEDY)
    return data


def read_text(frame: bytes, dictionary: Dictionary, *, limit: int = DEFAULT_LIMIT, crc32: int | None = None) -> str:
    """The chunk as text (UTF-8).

    Raises:
        FrameError: as :func:`decompress`, or the chunk is no UTF-8.
    """
    data = decompress(frame, dictionary, limit=limit, crc32=crc32)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise FrameError(f"A frame holds no UTF-8 text ({error}).", remedy=_REMEDY) from error


def _decompress_carefully(decompressor: zstandard.ZstdDecompressor, frame: bytes, limit: int) -> bytes:
    """Tell a long chunk from a bomb from damage: decode in pieces, stop one byte past the limit."""
    pieces: list[bytes] = []
    total = 0
    try:
        with decompressor.stream_reader(frame, read_across_frames=False) as stream:
            while total <= limit:
                piece = stream.read(min(1 << 16, limit + 1 - total))
                if not piece:
                    return b"".join(pieces)
                pieces.append(piece)
                total += len(piece)
    except zstandard.ZstdError as error:
        raise FrameError(f"A frame cannot be decoded ({error}).", remedy=_REMEDY) from error
    raise FrameTooLargeError(f"A frame expands beyond {limit} bytes.", remedy=_REMEDY)


def _decompressor(dictionary: Dictionary) -> zstandard.ZstdDecompressor:
    """This thread's decompressor for a dictionary: preparing one costs more than a thousand chunks."""
    kept: OrderedDict[str, zstandard.ZstdDecompressor] | None = getattr(_local, "decompressors", None)
    if kept is None:
        kept = _local.decompressors = OrderedDict()
    # By digest, not by bytes: packs that share a dictionary hold equal copies, and comparing those is slow.
    found = kept.get(dictionary.digest)
    if found is None:
        found = kept[dictionary.digest] = _new_decompressor(dictionary)
        if len(kept) > _DICTIONARIES_KEPT:
            kept.popitem(last=False)
    return found


def _new_decompressor(dictionary: Dictionary) -> zstandard.ZstdDecompressor:
    if dictionary.layout is None:
        return zstandard.ZstdDecompressor(format=zstandard.FORMAT_ZSTD1_MAGICLESS)
    try:
        prepared = zstandard.ZstdCompressionDict(dictionary.data, dict_type=zstandard.DICT_TYPE_FULLDICT)
        return zstandard.ZstdDecompressor(dict_data=prepared, format=zstandard.FORMAT_ZSTD1_MAGICLESS)
    except zstandard.ZstdError as error:
        raise DictionaryError(f"The dictionary cannot be loaded ({error}).", remedy=_REMEDY) from error
