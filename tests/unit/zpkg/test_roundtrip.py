"""What goes in comes out, for any chunks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary
from cem_rag_app.zpkg.frame import check_frame
from cem_rag_app.zpkg.late import decompress, read_text
from cem_rag_app.zpkg.reader import Reader, open_pack

chunks = st.binary(max_size=2000) | st.text(max_size=500).map(lambda text: text.encode("utf-8", "replace"))


@pytest.mark.parametrize("level", [1, 3, 12, 19, 22])
@given(data=chunks)
@example(data=b"")
@example(data=b"\x28\xb5\x2f\xfd")
@example(data=b"a" * 300_000)
@settings(max_examples=40)
def test_every_chunk_comes_back_at_every_level(dictionary: Dictionary, level: int, data: bytes) -> None:
    frame = Compressor(dictionary, level).compress(data)
    check_frame(frame)
    assert decompress(frame, dictionary) == data


@given(data=chunks)
@settings(max_examples=40)
def test_every_chunk_comes_back_without_a_dictionary(data: bytes) -> None:
    none = Dictionary(b"")
    assert decompress(Compressor(none).compress(data), none) == data


@given(parts=st.lists(chunks, max_size=30))
@settings(max_examples=40)
def test_a_pack_gives_back_its_frames_in_order(
    dictionary: Dictionary, write_pack: Callable[[Path, Dictionary, list[bytes]], None], parts: list[bytes]
) -> None:
    compressor = Compressor(dictionary, 3)
    frames = [compressor.compress(part) for part in parts]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "p.zpkg"
        write_pack(path, dictionary, frames)
        with open_pack(path) as reader:
            assert len(reader) == len(frames)
            assert list(reader) == frames
            assert [reader[index] for index in reversed(range(len(frames)))] == frames[::-1]
            assert [decompress(frame, reader.dictionary) for frame in reader] == parts
            reader.verify()


def test_a_chunk_at_the_limit_comes_back_whole(dictionary: Dictionary) -> None:
    data = "界".encode() * 349_525 + b"."
    assert len(data) == 1 << 20
    assert read_text(Compressor(dictionary, 3).compress(data), dictionary).encode() == data


def test_equal_chunks_give_equal_frames_whatever_was_compressed_before(dictionary: Dictionary) -> None:
    compressor = Compressor(dictionary)
    first = compressor.compress(b"the offset table of the header")
    compressor.compress(b"x" * 100_000)
    assert compressor.compress(b"the offset table of the header") == first


def test_frames_carry_no_size_no_checksum_and_no_dictionary_id(dictionary: Dictionary, texts: list[bytes]) -> None:
    # Descriptor 0: every optional header field of RFC 8878, 3.1.1.1.1 is absent.
    assert {Compressor(dictionary, level).compress(text)[0] for level in (1, 19) for text in texts[:50]} == {0}


def test_a_dictionary_makes_small_chunks_smaller(dictionary: Dictionary, texts: list[bytes]) -> None:
    own = sum(len(Compressor(dictionary).compress(text)) for text in texts[:50])
    none = sum(len(Compressor(Dictionary(b"")).compress(text)) for text in texts[:50])
    assert own < 0.8 * none


def test_a_reader_works_from_any_source_of_bytes(small_pack: bytes, reader_of: Callable[[bytes], Reader]) -> None:
    reader = reader_of(small_pack)
    assert read_text(reader[4], reader.dictionary).startswith("4: ")
