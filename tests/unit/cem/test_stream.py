"""A pack is embedded block by block from its memory map, and never held whole."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from cem_rag_app.cem.encoder import CompressedEncoder
from cem_rag_app.cem.stream import encode_pack
from cem_rag_app.errors import FrameError, SettingsError, ZpkgError
from cem_rag_app.schema import FloatArray
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary, general_dictionary
from cem_rag_app.zpkg.reader import Reader, open_pack
from cem_rag_app.zpkg.writer import PackWriter
from tests.unit.cem.conftest import TEXTS

DICTIONARY = general_dictionary("en")


class Ones:
    """An encoder of width 2 that remembers how many frames it was given at a time."""

    name, teacher, dimension = "ones", "nobody", 2

    def __init__(self) -> None:
        self.blocks: list[int] = []

    def encode(self, frames: Sequence[bytes], dictionary: Dictionary) -> FloatArray:
        assert dictionary == DICTIONARY
        self.blocks.append(len(frames))
        return np.ones((len(frames), 2), dtype=np.float32)


def pack_of(chunks: Sequence[bytes], path: Path) -> Path:
    compressor = Compressor(DICTIONARY)
    with PackWriter(path, DICTIONARY) as writer:
        for chunk in chunks:
            writer.add(compressor.compress(chunk))
        writer.seal()
    return path


@pytest.mark.parametrize("block", [1, 4, 5, 100])
def test_the_blocks_put_together_are_the_pack_encoded_at_once(
    encoder: CompressedEncoder, tmp_path: Path, block: int
) -> None:
    path = pack_of([text.encode() for text in TEXTS * 3], tmp_path / "a.zpkg")
    with open_pack(path) as reader:
        whole = encoder.encode(list(reader), reader.dictionary)
        pieces = list(encode_pack(reader, encoder, block=block))
    assert [len(piece) for piece in pieces] == [min(block, 18 - start) for start in range(0, 18, block)]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-6)


def test_a_large_pack_is_streamed_in_the_memory_of_one_block(tmp_path: Path) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (4000, 1000), dtype=np.uint8)
    path = pack_of([row.tobytes() for row in noise], tmp_path / "large.zpkg")
    assert path.stat().st_size > 4_000_000
    encoder = Ones()
    with open_pack(path) as reader:
        _ = reader.dictionary
        tracemalloc.start()
        for _ in encode_pack(reader, encoder, block=50):
            pass
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert encoder.blocks == [50] * 80
    assert peak < 300_000  # two blocks of 50 kB at most, and not four million


def test_bytes_are_read_when_their_block_comes_and_not_before(tmp_path: Path) -> None:
    data = pack_of([b"a wing %d" % number for number in range(10)], tmp_path / "a.zpkg").read_bytes()
    reads: list[int] = []

    def get_bytes(start: int, length: int) -> bytes:
        reads.append(length)
        return data[start : start + length]

    reader = Reader(get_bytes, len(data))
    _ = reader.dictionary
    reads.clear()
    blocks = encode_pack(reader, Ones(), block=4)
    assert reads == []
    next(blocks)
    assert len(reads) == 4
    next(blocks)
    assert len(reads) == 8


def test_an_empty_pack_gives_nothing(tmp_path: Path) -> None:
    with open_pack(pack_of([], tmp_path / "a.zpkg")) as reader:
        assert list(encode_pack(reader, Ones())) == []


def test_no_block_a_closed_pack_and_a_damaged_frame_are_refused(encoder: CompressedEncoder, tmp_path: Path) -> None:
    path = pack_of([b"a wing at high speed " * 9, b"b"], tmp_path / "a.zpkg")
    with open_pack(path) as reader, pytest.raises(SettingsError, match="block of 0"):
        next(encode_pack(reader, encoder, block=0))
    with pytest.raises(ZpkgError, match="closed"):
        next(encode_pack(reader, encoder))
    whole = Compressor(DICTIONARY).compress(b"a wing at high speed " * 9)
    noise = b"\xff" * 8
    with PackWriter(path, DICTIONARY) as writer:
        writer.add(whole)
        writer.add(whole[:2] + (len(noise) << 3 | 2 << 1 | 1).to_bytes(3, "little") + noise)
        writer.seal()
    with open_pack(path) as reader, pytest.raises(FrameError, match="Frame 1 of the batch"):
        next(encode_pack(reader, encoder))
