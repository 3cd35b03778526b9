"""Frames cut into pieces, blocks and patches: arithmetic on bytes, the same for a frame whoever is beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.cem.frame.shape import FIRST_BYTE, FrameShape

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FrameBatch:
    """What the network reads.

    Attributes:
        ids: (blocks, positions), byte ids of each block after those of its context; 0 where there is no byte.
        patch_ids: (blocks, positions), the patch in the block that each byte belongs to. What belongs to none (context,
            and what pads a patch) goes to a last patch that is thrown away; every patch has a byte.
        places: (rows, patches), where in the flattened patches of all blocks a patch lies. Several pieces share a
            row, so that little of it is empty.
        positions: (rows, patches), number of a patch in its piece.
        pieces: (rows, patches), which piece a patch is of, and so which see one another; -1 where there is none.
        owners: (rows, patches), the frame a patch is of; the number of frames where there is none.
        counts: (frames,), how many patches each frame has.
    """

    ids: Numbers
    patch_ids: Numbers
    places: Numbers
    positions: Numbers
    pieces: Numbers
    owners: Numbers
    counts: Numbers


def split(frames: Sequence[bytes], longest: int) -> tuple[list[bytes], Numbers]:
    """Pieces of at most ``longest`` bytes, and the number of the frame that each is of."""
    counts = [-(-len(frame) // longest) for frame in frames]
    pieces = [frame[start : start + longest] for frame in frames for start in range(0, len(frame), longest)]
    return pieces, np.repeat(np.arange(len(frames)), counts)


def batches(pieces: Sequence[bytes], limit: int) -> Iterator[list[int]]:
    """Numbers of pieces that are read together: of like length, and of ``limit`` bytes or a single longer one."""
    taken: list[int] = []
    size = 0
    for number in sorted(range(len(pieces)), key=lambda number: len(pieces[number])):
        if taken and size + len(pieces[number]) > limit:
            yield taken
            taken, size = [], 0
        taken.append(number)
        size += len(pieces[number])
    if taken:
        yield taken


def cut(pieces: Sequence[bytes], owners: Numbers, frames: int, shape: FrameShape) -> FrameBatch:
    """Cut pieces into blocks of whole patches, and lay their patches into rows.

    Blocks of all pieces lie one after the other without padding between them; only a piece's last block is padded.

    Args:
        pieces: at least one, none of them empty.
        owners: (pieces,) the frame that each is of.
        frames: how many there are.
        shape: sizes of patches and blocks.
    """
    sizes = np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces))
    blocks = -(-sizes // shape.own)
    firsts = np.cumsum(blocks) - blocks
    # The bytes of all pieces, each from the start of its first block on.
    data = np.zeros((int(blocks.sum()), shape.own), dtype=np.int64)
    places = np.arange(int(sizes.sum())) + np.repeat(firsts * shape.own - (np.cumsum(sizes) - sizes), sizes)
    data.reshape(-1)[places] = np.frombuffer(b"".join(pieces), dtype=np.uint8).astype(np.int64) + FIRST_BYTE
    starts = np.repeat(firsts, blocks) * shape.own
    patches = -(-sizes // shape.patch)
    counts = np.zeros(frames, dtype=np.int64)
    np.add.at(counts, owners, patches)
    return FrameBatch(
        ids=np.concatenate([_before(data, starts, shape), data], axis=1),
        patch_ids=_patch_ids(data, shape),
        counts=counts,
        **_rows(firsts * shape.block, patches, owners, frames),
    )


def _before(data: Numbers, starts: Numbers, shape: FrameShape) -> Numbers:
    """The bytes before each block, as far as they are of the same piece; ``starts`` says where each block's begins."""
    places = np.arange(len(data))[:, None] * shape.own + np.arange(-shape.context, 0)
    return np.where(places >= starts[:, None], data.reshape(-1)[np.maximum(places, 0)], 0)


def _patch_ids(data: Numbers, shape: FrameShape) -> Numbers:
    nowhere = shape.block
    natural = np.arange(shape.own) // shape.patch
    # A patch that has a byte of the piece must not see what pads it; one that has none is never used, and keeps its
    # padding only so that no query is without a key.
    used = data.reshape(len(data), shape.block, shape.patch)[:, :, 0] != 0
    own = np.where((data == 0) & used[:, natural], nowhere, natural)
    return np.concatenate([np.full((len(data), shape.context), nowhere, dtype=np.int64), own], axis=1)


def _rows(firsts: Numbers, counts: Numbers, owners: Numbers, frames: int) -> dict[str, Numbers]:
    """Lay pieces into rows as long as the longest of them, the longest first."""
    width = int(counts.max())
    rows: list[list[int]] = []
    free: list[int] = []
    for piece in np.argsort(-counts, kind="stable").tolist():
        row = next((row for row, room in enumerate(free) if room >= counts[piece]), len(rows))
        if row == len(rows):
            rows.append([])
            free.append(width)
        rows[row].append(piece)
        free[row] -= int(counts[piece])
    size = (len(rows), width)
    places, positions = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    pieces, owner = np.full(size, -1, dtype=np.int64), np.full(size, frames, dtype=np.int64)
    for row, members in enumerate(rows):
        lengths = counts[members]
        end = int(lengths.sum())
        steps = np.arange(end) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        places[row, :end] = np.repeat(firsts[members], lengths) + steps
        positions[row, :end] = steps
        pieces[row, :end] = np.repeat(members, lengths)
        owner[row, :end] = np.repeat(owners[members], lengths)
    return {"places": places, "positions": positions, "pieces": pieces, "owners": owner}
