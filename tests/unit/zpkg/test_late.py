"""Late decompression is shared by threads and remembers dictionaries by content."""

from __future__ import annotations

import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from cem_rag_app.errors import FrameError
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary
from cem_rag_app.zpkg.late import decompress, read_text


def test_threads_compress_and_open_the_same_chunks(dictionary: Dictionary, texts: list[bytes]) -> None:
    compressor = Compressor(dictionary, 3)
    expected = [compressor.compress(text) for text in texts]

    def both(text: bytes) -> tuple[bytes, bytes]:
        frame = compressor.compress(text)
        return frame, decompress(frame, dictionary)

    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert list(pool.map(both, texts)) == list(zip(expected, texts, strict=True))


def test_many_dictionaries_may_be_open_at_once(texts: list[bytes], dictionary: Dictionary) -> None:
    several = [Dictionary(dictionary.data + bytes([n]) * 16) for n in range(20)]
    frames = [Compressor(one).compress(texts[0]) for one in several]
    for _ in range(2):
        assert all(decompress(frame, one) == texts[0] for frame, one in zip(frames, several, strict=True))


def test_an_equal_dictionary_read_from_elsewhere_opens_the_same_frames(
    dictionary: Dictionary, texts: list[bytes]
) -> None:
    copy = Dictionary(bytes(bytearray(dictionary.data)))
    assert copy == dictionary and copy.data is not dictionary.data
    assert decompress(Compressor(dictionary).compress(texts[3]), copy) == texts[3]


def test_the_checksum_of_the_chunk_decides(dictionary: Dictionary) -> None:
    frame = Compressor(dictionary).compress("晚安".encode())
    assert read_text(frame, dictionary, crc32=zlib.crc32("晚安".encode())) == "晚安"
    with pytest.raises(FrameError, match="checksum"):
        read_text(frame, dictionary, crc32=zlib.crc32("早安".encode()))
