"""A pack is there whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cem_rag_app.errors import DiskFullError, FrameError, PackFullError, ZpkgError
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary
from cem_rag_app.zpkg.reader import open_pack
from cem_rag_app.zpkg.writer import PackWriter

EMPTY_FRAME = b"\x00\x00\x01\x00\x00"
FRAME_OF_A = b"\x00\x00\x09\x00\x00a"


class SmallDisk:
    """A folder's files on a disk that holds only so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def create(self, folder: Path) -> io.FileIO:
        disk = self

        class File(io.FileIO):
            def write(self, data: bytes) -> int:
                if len(data) > disk.room:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                disk.room -= len(data)
                return super().write(data)

        return File(folder / f"{len(list(folder.iterdir()))}.tmp", "w+")


def test_a_sealed_pack_is_what_its_info_says(tmp_path: Path) -> None:
    path = tmp_path / "p.zpkg"
    with PackWriter(path, Dictionary(b"")) as writer:
        assert [writer.add(EMPTY_FRAME), writer.add(FRAME_OF_A)] == [0, 1]
        info = writer.seal()
    data = path.read_bytes()
    assert (info.path, info.count, info.size) == (path, 2, len(data))
    assert info.sha256 == hashlib.sha256(data).hexdigest()
    # 32 header, no dictionary, two offsets: 40 and 45.
    assert data[32:] == (40).to_bytes(4, "little") + (45).to_bytes(4, "little") + EMPTY_FRAME + FRAME_OF_A
    assert data[:6] == b"ZPKG\x01\x00" and data[8:20].hex() == "02000000" + "00000000" + "33000000"


def test_nothing_is_left_without_a_seal(tmp_path: Path) -> None:
    with PackWriter(tmp_path / "p.zpkg", Dictionary(b"")) as writer:
        writer.add(EMPTY_FRAME)
    assert list(tmp_path.iterdir()) == []


def test_nothing_but_the_pack_is_left_after_a_seal(tmp_path: Path) -> None:
    with PackWriter(tmp_path / "p.zpkg", Dictionary(b"")) as writer:
        writer.add(EMPTY_FRAME)
        writer.seal()
    assert [path.name for path in tmp_path.iterdir()] == ["p.zpkg"]


def test_a_pack_that_is_replaced_stays_until_the_new_one_is_sealed(tmp_path: Path) -> None:
    path = tmp_path / "p.zpkg"
    with PackWriter(path, Dictionary(b"")) as writer:
        writer.add(EMPTY_FRAME)
        writer.seal()
    with PackWriter(path, Dictionary(b"")) as writer:
        writer.add(FRAME_OF_A)
        with open_pack(path) as old:
            assert list(old) == [EMPTY_FRAME]
        writer.seal()
    with open_pack(path) as new:
        assert list(new) == [FRAME_OF_A]


def test_a_sealed_pack_takes_no_more(tmp_path: Path) -> None:
    with PackWriter(tmp_path / "p.zpkg", Dictionary(b"")) as writer:
        writer.seal()
        with pytest.raises(ZpkgError, match="sealed"):
            writer.add(EMPTY_FRAME)
        with pytest.raises(ZpkgError, match="sealed"):
            writer.seal()


@pytest.mark.parametrize("frame", [b"", b"text", b"\x28\xb5\x2f\xfd\x00\x00\x01\x00\x00", EMPTY_FRAME + b"x"])
def test_what_is_no_frame_is_refused(tmp_path: Path, frame: bytes) -> None:
    with PackWriter(tmp_path / "p.zpkg", Dictionary(b"")) as writer:
        with pytest.raises(FrameError):
            writer.add(frame)
        assert writer.seal().count == 0


def test_a_full_pack_says_so_before_it_is_full_and_can_be_sealed(tmp_path: Path) -> None:
    path = tmp_path / "p.zpkg"
    # Header 32, and 4 + 5 bytes a frame: exactly three fit in 59 bytes.
    with PackWriter(path, Dictionary(b""), largest=59) as writer:
        for _ in range(3):
            writer.add(EMPTY_FRAME)
        for _ in range(2):
            with pytest.raises(PackFullError):
                writer.add(EMPTY_FRAME)
        assert writer.seal().size == 59
    with open_pack(path) as reader:
        assert list(reader) == [EMPTY_FRAME] * 3


def test_no_pack_may_exceed_what_32_bits_reach(tmp_path: Path) -> None:
    with PackWriter(tmp_path / "p.zpkg", Dictionary(b""), largest=2**40) as writer:
        writer._frames_size = 2**32 - 1 - 32 - 4 - len(EMPTY_FRAME)  # as if 4 GiB had been added
        writer.add(EMPTY_FRAME)
        with pytest.raises(PackFullError):
            writer.add(EMPTY_FRAME)


@pytest.mark.parametrize("room", range(0, 130, 3))
def test_a_full_disk_is_named_and_leaves_no_half_written_file(tmp_path: Path, room: int) -> None:
    # Five frames and the table need 30 bytes in the spool and 82 in the pack: 130 is enough, any less is not.
    disk = SmallDisk(room)
    path = tmp_path / "p.zpkg"
    path.write_bytes(b"the old pack")

    def write() -> None:
        with PackWriter(path, Dictionary(b""), create=disk.create) as writer:
            for _ in range(5):
                writer.add(FRAME_OF_A)
            writer.seal()

    if room < 30 + 82:
        with pytest.raises(DiskFullError, match="No space left"):
            write()
        assert path.read_bytes() == b"the old pack"
    else:
        write()
        assert path.stat().st_size == 82
    assert [left.name for left in tmp_path.iterdir()] == ["p.zpkg"]


def test_other_errors_of_the_system_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        PackWriter(tmp_path / "no" / "folder" / "p.zpkg", Dictionary(b""))


def test_the_same_frames_make_the_same_file(tmp_path: Path, dictionary: Dictionary, texts: list[bytes]) -> None:
    frames = [Compressor(dictionary).compress(text) for text in texts[:20]]
    sums = set()
    for name in ("a", "b"):
        with PackWriter(tmp_path / name, dictionary) as writer:
            for frame in frames:
                writer.add(frame)
            sums.add(writer.seal().sha256)
    assert len(sums) == 1


def test_memory_does_not_grow_with_the_frames(tmp_path: Path) -> None:
    import tracemalloc

    raw = b"\x00\x58" + (1 | (100_000 << 3)).to_bytes(3, "little") + bytes(100_000)
    tracemalloc.start()
    try:
        with PackWriter(tmp_path / "p.zpkg", Dictionary(b"")) as writer:
            for _ in range(200):
                writer.add(raw)
            assert writer.seal().size > 20_000_000
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX")
def test_a_writer_killed_while_it_writes_leaves_the_old_pack_readable(tmp_path: Path) -> None:
    path = tmp_path / "p.zpkg"
    program = (
        "import sys\n"
        "from cem_rag_app.zpkg.dictionary import Dictionary\n"
        "from cem_rag_app.zpkg.writer import PackWriter\n"
        "number = 0\n"
        "while True:\n"
        "    number += 1\n"
        f"    with PackWriter({str(path)!r}, Dictionary(b'')) as writer:\n"
        "        for _ in range(number % 50):\n"
        f"            writer.add({FRAME_OF_A!r})\n"
        "        writer.seal()\n"
        "    print(number, flush=True)\n"
    )
    for rounds in (1, 7, 60):
        child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert child.stdout is not None
        for _ in range(rounds):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        child.stdout.close()
        child.wait()
        with open_pack(path) as reader:
            reader.verify()
            assert set(reader) <= {FRAME_OF_A}
