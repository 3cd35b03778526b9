"""Every corruption is a named error: no crash, no huge allocation, no wrong bytes."""

from __future__ import annotations

import binascii
import contextlib
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from cem_rag_app.errors import (
    DictionaryError,
    FrameError,
    FrameTooLargeError,
    HeaderError,
    MagicError,
    OffsetError,
    TruncatedError,
    VersionError,
    ZpkgError,
)
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary
from cem_rag_app.zpkg.late import decompress, read_text
from cem_rag_app.zpkg.reader import Reader, open_pack

MakeReader = Callable[[bytes], Reader]


def signed(data: bytearray) -> bytes:
    """The pack with checksums that fit what it now says: an attacker computes them too."""
    count, dictionary_size = struct.unpack_from("<II", data, 8)
    table = 32 + dictionary_size
    struct.pack_into("<I", data, 20, zlib.crc32(data[32:table]))
    struct.pack_into("<I", data, 24, zlib.crc32(data[table : table + 4 * count]))
    struct.pack_into("<I", data, 28, zlib.crc32(data[table + 4 * count :]))
    struct.pack_into("<H", data, 6, binascii.crc_hqx(bytes(data[:6] + data[8:32]), 0))
    return bytes(data)


def patched(pack: bytes, form: str, offset: int, *values: int) -> bytes:
    data = bytearray(pack)
    struct.pack_into(form, data, offset, *values)
    return signed(data)


def test_a_pack_cut_at_any_byte_is_refused_at_open(small_pack: bytes, reader_of: MakeReader, tmp_path: Path) -> None:
    path = tmp_path / "cut.zpkg"
    for size in range(len(small_pack)):
        with pytest.raises(TruncatedError):
            reader_of(small_pack[:size])
        if size % 97 == 0:  # the same through a real file and its memory map
            path.write_bytes(small_pack[:size])
            with pytest.raises(TruncatedError):
                open_pack(path)


def test_bytes_after_the_end_are_refused(small_pack: bytes, reader_of: MakeReader) -> None:
    with pytest.raises(HeaderError, match="3 bytes follow"):
        reader_of(small_pack + b"abc")


@pytest.mark.parametrize("start", [b"ZPKX", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"Z\x00", b"\x00"])
def test_another_kind_of_file_is_named(small_pack: bytes, reader_of: MakeReader, start: bytes) -> None:
    with pytest.raises(MagicError):
        reader_of(start + small_pack[len(start) :])
    with pytest.raises(MagicError):
        reader_of(start)


@pytest.mark.parametrize("version", [0, 2, 255])
def test_another_version_is_named(small_pack: bytes, reader_of: MakeReader, version: int) -> None:
    with pytest.raises(VersionError, match=f"version {version}"):
        reader_of(patched(small_pack, "<B", 4, version))


def test_unknown_flags_are_refused(small_pack: bytes, reader_of: MakeReader) -> None:
    with pytest.raises(HeaderError, match="flags 0x01"):
        reader_of(patched(small_pack, "<B", 5, 1))


def test_every_flipped_bit_of_the_header_is_found(small_pack: bytes, reader_of: MakeReader) -> None:
    expected = {0: MagicError, 1: MagicError, 2: MagicError, 3: MagicError, 4: VersionError}
    for bit in range(32 * 8):
        data = bytearray(small_pack)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(expected.get(bit // 8, HeaderError)):
            reader_of(bytes(data))


def test_every_flipped_bit_of_the_table_is_found(small_pack: bytes, reader_of: MakeReader) -> None:
    start = reader_of(small_pack).header.table_start
    for bit in range(5 * 4 * 8):  # low bits move a boundary by a few bytes, which only the checksum sees
        data = bytearray(small_pack)
        data[start + bit // 8] ^= 1 << bit % 8
        with pytest.raises(OffsetError):
            reader_of(bytes(data))


@given(data=st.data())
@settings(max_examples=60)
def test_a_flipped_byte_of_the_dictionary_is_found_at_first_use(
    small_pack: bytes, reader_of: MakeReader, data: st.DataObject
) -> None:
    broken = bytearray(small_pack)
    end = reader_of(small_pack).header.table_start
    broken[data.draw(st.integers(32, end - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DictionaryError):
        _ = reader_of(bytes(broken)).dictionary


@given(data=st.data())
@settings(max_examples=60)
def test_a_flipped_byte_of_a_frame_is_found_by_verify(
    small_pack: bytes, reader_of: MakeReader, data: st.DataObject
) -> None:
    broken = bytearray(small_pack)
    start = reader_of(small_pack).header.frames_start
    broken[data.draw(st.integers(start, len(broken) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FrameError):
        reader_of(bytes(broken)).verify()


@pytest.mark.parametrize(
    ("what", "place", "value"),
    [
        ("first offset before the frames", 0, -1),
        ("first offset after the frames' start", 0, 1),
        ("an offset below the one before", 2, -100_000),
        ("an offset beyond the file", 4, 1_000_000),
        ("no room for a frame", 4, None),
    ],
)
def test_offsets_that_decrease_or_point_outside_are_refused_even_with_a_fitting_checksum(
    small_pack: bytes, reader_of: MakeReader, what: str, place: int, value: int | None
) -> None:
    header = reader_of(small_pack).header
    at = header.table_start + 4 * place
    (old,) = struct.unpack_from("<I", small_pack, at)
    new = len(small_pack) - 2 if value is None else max(0, old + value)
    with pytest.raises(OffsetError):
        reader_of(patched(small_pack, "<I", at, new))


@pytest.mark.parametrize("field", [8, 12])
@pytest.mark.parametrize("value", [2**32 - 1, 2**31, 10_000_000])
def test_a_huge_count_allocates_nothing(small_pack: bytes, reader_of: MakeReader, field: int, value: int) -> None:
    data = bytearray(small_pack)
    struct.pack_into("<I", data, field, value)
    struct.pack_into("<H", data, 6, binascii.crc_hqx(bytes(data[:6] + data[8:32]), 0))
    tracemalloc.start()
    try:
        with pytest.raises(HeaderError, match="do not fit"):
            reader_of(bytes(data))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_header_without_chunks_cannot_hide_bytes(small_pack: bytes, reader_of: MakeReader) -> None:
    with pytest.raises(HeaderError):
        reader_of(patched(small_pack, "<I", 8, 0))


def test_something_else_in_the_place_of_the_dictionary_is_named(small_pack: bytes, reader_of: MakeReader) -> None:
    with pytest.raises(DictionaryError, match="do not start like"):
        _ = reader_of(patched(small_pack, "<I", 32, 0)).dictionary


@given(data=st.binary(max_size=400))
@settings(max_examples=200)
def test_random_bytes_are_never_a_pack(reader_of: MakeReader, data: bytes) -> None:
    with pytest.raises(ZpkgError):
        reader_of(data)
    with pytest.raises(ZpkgError):
        reader_of(b"ZPKG\x01\x00" + data)


@given(data=st.binary(max_size=200))
@settings(max_examples=300)
def test_random_bytes_are_a_frame_or_a_frame_error(dictionary: Dictionary, data: bytes) -> None:
    for frame in (data, b"\x00\x00" + data):
        with contextlib.suppress(FrameError):
            assert len(decompress(frame, dictionary, limit=5000)) <= 5000


@given(data=st.data())
@settings(max_examples=150)
def test_a_damaged_frame_is_an_error_when_its_owner_kept_a_checksum(
    dictionary: Dictionary, texts: list[bytes], data: st.DataObject
) -> None:
    text = data.draw(st.sampled_from(texts))
    frame = bytearray(Compressor(dictionary).compress(text))
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(FrameError):
        assert decompress(bytes(frame), dictionary, crc32=zlib.crc32(text)) == text


def test_a_frame_cut_at_any_byte_or_followed_by_one_is_refused(dictionary: Dictionary, texts: list[bytes]) -> None:
    frame = Compressor(dictionary).compress(texts[0])
    for size in range(len(frame)):
        with pytest.raises(FrameError):
            decompress(frame[:size], dictionary)
    # python-zstandard itself lets bytes after a frame pass, whatever allow_extra_data says.
    for extra in (b"\x00", b"x", frame):
        with pytest.raises(FrameError, match=r"follow|reserved|inside"):
            decompress(frame + extra, dictionary)


def test_frames_with_optional_header_fields_are_refused(texts: list[bytes]) -> None:
    sized = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(format=zstandard.FORMAT_ZSTD1_MAGICLESS)
    ).compress(texts[0])
    for frame in (sized, zstandard.compress(texts[0])):
        with pytest.raises(FrameError, match="no zpkg frame"):
            decompress(frame, Dictionary(b""))


def test_a_frame_that_asks_for_a_huge_window_is_refused() -> None:
    with pytest.raises(FrameError, match="no zpkg frame"):
        decompress(b"\x00\xff\x01\x00\x00", Dictionary(b""))


@pytest.mark.parametrize("size", [1001, 100_000, 50_000_000])
def test_a_bomb_stops_at_its_limit(dictionary: Dictionary, size: int) -> None:
    bomb = Compressor(dictionary, 3).compress(b"\0" * size)
    assert len(bomb) < 30_000
    tracemalloc.start()
    try:
        with pytest.raises(FrameTooLargeError, match="beyond 1000 bytes"):
            decompress(bomb, dictionary, limit=1000)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_bomb_made_by_hand_stops_at_its_limit() -> None:
    def run_block(last: int) -> bytes:
        """A block header for a run of one byte, 128 KiB long: 32,768 times its size."""
        return (last | 1 << 1 | 131_072 << 3).to_bytes(3, "little") + b"\0"

    window_of_8_mib = b"\x00\x68"
    with pytest.raises(FrameTooLargeError):
        decompress(window_of_8_mib + run_block(0) * 100_000 + run_block(1), Dictionary(b""))


def test_a_chunk_of_exactly_the_limit_passes_and_one_more_byte_does_not(dictionary: Dictionary) -> None:
    for size in (0, 1, 1000, 1 << 14, (1 << 14) + 1, 70_000):
        frame = Compressor(dictionary, 3).compress(bytes(range(250)) * (size // 250) + b"x" * (size % 250))
        assert len(decompress(frame, dictionary, limit=size)) == size
        if size:
            with pytest.raises(FrameTooLargeError):
                decompress(frame, dictionary, limit=size - 1)


def test_another_dictionary_never_gives_other_text_when_a_checksum_was_kept(
    dictionary: Dictionary, other_dictionary: Dictionary, texts: list[bytes]
) -> None:
    compressor = Compressor(dictionary)
    for text in texts[:100]:
        for wrong in (other_dictionary, Dictionary(b"")):
            with pytest.raises(FrameError):
                read_text(compressor.compress(text), wrong, crc32=zlib.crc32(text))


@pytest.mark.parametrize("data", [b"abc", b"no dictionary at all", b"\x37\xa4\x30\xec" + b"\0" * 200])
def test_bytes_that_are_no_dictionary_are_named_wherever_they_are_used(tmp_path: Path, data: bytes) -> None:
    from cem_rag_app.zpkg.writer import PackWriter

    wrong = Dictionary(data)
    with pytest.raises(DictionaryError):
        _ = wrong.content
    with pytest.raises(DictionaryError):
        Compressor(wrong)
    with pytest.raises(DictionaryError):
        decompress(b"\x00\x00\x01\x00\x00", wrong)
    with pytest.raises(DictionaryError):
        PackWriter(tmp_path / "p.zpkg", wrong)
    assert list(tmp_path.iterdir()) == []


def test_a_chunk_that_is_no_text_is_named(dictionary: Dictionary) -> None:
    with pytest.raises(FrameError, match="no UTF-8"):
        read_text(Compressor(dictionary).compress(b"\xff\xfe\xfd"), dictionary)
