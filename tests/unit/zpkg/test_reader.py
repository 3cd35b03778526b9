"""A reader reads what was asked for, and says plainly what is not there."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from cem_rag_app.errors import ChunkIndexError, TruncatedError, ZpkgError
from cem_rag_app.zpkg.dictionary import Dictionary
from cem_rag_app.zpkg.reader import Reader, open_pack


class RecordingSource:
    """Bytes in memory that remember who asked for which of them."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.asked: list[tuple[int, int]] = []

    def __call__(self, start: int, length: int) -> bytes:
        self.asked.append((start, length))
        return self.data[start : start + length]


def test_opening_reads_header_and_table_and_nothing_else(small_pack: bytes) -> None:
    source = RecordingSource(small_pack)
    Reader(source, len(small_pack))
    dictionary_size = struct.unpack_from("<I", small_pack, 12)[0]
    assert source.asked == [(0, 32), (32 + dictionary_size, 5 * 4)]


def test_a_chunk_costs_one_read_of_exactly_its_bytes(small_pack: bytes) -> None:
    source = RecordingSource(small_pack)
    reader = Reader(source, len(small_pack))
    source.asked.clear()
    frames = [reader[3], reader[4]]
    offsets = struct.unpack_from("<5I", small_pack, reader.header.table_start)
    assert source.asked == [(offsets[3], offsets[4] - offsets[3]), (offsets[4], len(small_pack) - offsets[4])]
    assert b"".join(frames) == small_pack[offsets[3] :]


def test_the_dictionary_is_read_once_and_only_when_asked_for(small_pack: bytes) -> None:
    source = RecordingSource(small_pack)
    reader = Reader(source, len(small_pack))
    source.asked.clear()
    assert reader.dictionary is reader.dictionary
    assert source.asked == [(32, len(reader.dictionary.data))]


@pytest.mark.parametrize("index", [-1, 5, 2**40])
def test_a_chunk_that_is_not_there_is_named(
    small_pack: bytes, reader_of: Callable[[bytes], Reader], index: int
) -> None:
    with pytest.raises(ChunkIndexError, match=f"chunks 0 to 4, not {index}"):
        reader_of(small_pack)[index]


def test_a_source_that_gives_too_little_is_named(small_pack: bytes) -> None:
    source = RecordingSource(small_pack)
    reader = Reader(source, len(small_pack))
    source.data = small_pack[:-1]
    with pytest.raises(TruncatedError):
        reader[4]


def test_an_empty_pack_has_no_chunks(
    tmp_path: Path, write_pack: Callable[[Path, Dictionary, list[bytes]], None]
) -> None:
    path = tmp_path / "empty.zpkg"
    write_pack(path, Dictionary(b""), [])
    with open_pack(path) as reader:
        assert (len(reader), list(reader), reader.dictionary.data) == (0, [], b"")
        reader.verify()
    assert path.stat().st_size == 32


def test_a_pack_can_be_replaced_while_it_is_read(
    tmp_path: Path,
    small_pack: bytes,
    dictionary: Dictionary,
    write_pack: Callable[[Path, Dictionary, list[bytes]], None],
) -> None:
    path = tmp_path / "p.zpkg"
    path.write_bytes(small_pack)
    with open_pack(path) as old:
        before = list(old)
        write_pack(path, dictionary, before[:2])
        assert list(old) == before
        with open_pack(path) as new:
            assert list(new) == before[:2]


def test_a_closed_pack_says_so_and_frames_read_before_stay(tmp_path: Path, small_pack: bytes) -> None:
    path = tmp_path / "p.zpkg"
    path.write_bytes(small_pack)
    with open_pack(path) as reader:
        frame = reader[0]
    with pytest.raises(ZpkgError, match="closed"):
        reader[0]
    reader.close()
    assert frame in small_pack


def test_opening_a_missing_file_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_pack(tmp_path / "none.zpkg")
