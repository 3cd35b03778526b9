"""The outside of a frame: its header and the chain of its blocks (RFC 8878, 3.1.1), never their content.

A zpkg frame is one zstd frame without the magic number and with no optional field: a zero descriptor, one window
byte, then blocks. Strictness is what makes hostile frames cheap to refuse: a frame cannot claim a content size,
name a dictionary or carry anything after its last block.
"""

from __future__ import annotations

from cem_rag_app.errors import FrameError

SMALLEST_FRAME = 5
_DESCRIPTOR = 0
_LARGEST_WINDOW_EXPONENT = 13  # 2 ** (10 + 13) = 8 MiB, what RFC 8878 asks every decoder to support
_HEADER_BYTES = 2
_BLOCK_HEADER_BYTES = 3
_RLE, _RESERVED = 1, 3
_REMEDY = "Run `cem-rag check`: the pack or the catalog that points into it is damaged."


def check_frame(frame: bytes) -> None:
    """See that ``frame`` is exactly one zpkg frame from its first byte to its last; O(number of blocks).

    Raises:
        FrameError: it is no zpkg frame, ends inside a block, or bytes follow its last block.
    """
    size = len(frame)
    if size < SMALLEST_FRAME:
        raise FrameError(f"A frame of {size} bytes is too short.", remedy=_REMEDY)
    if frame[0] != _DESCRIPTOR or frame[1] >> 3 > _LARGEST_WINDOW_EXPONENT:
        raise FrameError(f"A frame starts with {frame[0]:#04x} {frame[1]:#04x}: no zpkg frame.", remedy=_REMEDY)
    position = _HEADER_BYTES
    while position + _BLOCK_HEADER_BYTES <= size:
        header = frame[position] | frame[position + 1] << 8 | frame[position + 2] << 16
        kind = header >> 1 & 3
        if kind == _RESERVED:
            raise FrameError("A frame has a block of the reserved kind.", remedy=_REMEDY)
        position += _BLOCK_HEADER_BYTES + (1 if kind == _RLE else header >> 3)
        if header & 1:
            if position == size:
                return
            break
    if position > size or not header & 1:
        raise FrameError(f"A frame of {size} bytes ends inside a block.", remedy=_REMEDY)
    raise FrameError(f"{size - position} bytes follow the last block of a frame.", remedy=_REMEDY)
