"""A pack of any size to vectors, block by block: what is resident is one block and not the pack."""

from __future__ import annotations

from collections.abc import Iterator

from cem_rag_app.cem.pair import FrameEncoder
from cem_rag_app.errors import SettingsError
from cem_rag_app.schema import FloatArray
from cem_rag_app.zpkg.reader import Reader

BLOCK = 4096


def encode_pack(reader: Reader, encoder: FrameEncoder, *, block: int = BLOCK) -> Iterator[FloatArray]:
    """Embed the chunks of a pack in order.

    Each frame is sliced from the reader when its block comes (from the memory map, if `open_pack` opened it), and
    let go with it. Nothing is decompressed.

    Args:
        reader: the pack.
        encoder: of the pack's chunks.
        block: chunks held at a time; a large one keeps more cores busy.

    Yields:
        ``(m, d)`` float32, unit rows, ``m = block`` but for the last.

    Raises:
        SettingsError: ``block`` is not positive.
        FrameError: a frame is damaged; its number is that in the block.
        DictionaryError: the dictionary is damaged.
    """
    if block < 1:
        raise SettingsError(f"A block of {block} chunks cannot be encoded.", remedy="Take 1 or more.")
    for start in range(0, len(reader), block):
        frames = [reader[number] for number in range(start, min(start + block, len(reader)))]
        yield encoder.encode(frames, reader.dictionary)
