"""The write-ahead log looked at from outside: a damaged one told from a torn one.

SQLite reads the log up to the first frame whose checksum is wrong and takes what follows for the torn tail of a crash.
That is right for a tail, which nobody was ever told is safe; it is wrong for a bit that flipped in the middle:
acknowledged transactions vanish without a word, and older versions of pages cover newer ones that were already copied
to the catalog. Two witnesses tell the cases apart:

- ``catalog.sqlite-shm``, which outlives a killed process, names the last frame of the log that was synced before its
  transaction was acknowledged. SQLite writes that number after the sync, so all frames up to it must be sound.
- A transaction begins in the log only after the one before it was synced. So sound frames of the same log beyond the
  transaction that the first bad frame belongs to mean that the bad frame had been sound once.

The formats: https://www.sqlite.org/fileformat2.html#the_write_ahead_log and https://www.sqlite.org/walformat.html.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from cem_rag_app.errors import MemoryCorruptError

_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_MAGIC: Final = 0x377F0682  # the lowest bit says that checksums read words as big-endian
_SHARED_HEADER: Final = 48
_SHARED_VERSION: Final = 3007000
_TRIES: Final = 5
"""How often the two files are read again when another process was writing to them meanwhile."""

_AT_ONCE: Final = 1024
"""Frames summed at once: some 4 MiB."""

_Words = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class LogReport:
    """What a log holds.

    Attributes:
        frames: sound frames from the beginning, each with one page.
        committed: frames up to the end of the last transaction among them; what SQLite reads.
        promised: frames that were synced, as the shared memory tells; 0 where it tells nothing.
        later: sound frames after the first bad one that belong to a later transaction than it.
    """

    frames: int
    committed: int
    promised: int
    later: int

    @property
    def damaged(self) -> bool:
        """Whether acknowledged transactions cannot be read any more."""
        return self.committed < self.promised or self.later > 0


def check_log(catalog: Path) -> None:
    """Refuse a catalog whose log is damaged; a torn tail is no damage.

    Call it before the catalog is opened, and in no process that has it open: closing the shared memory would let go of
    the locks that SQLite holds on it.

    Raises:
        MemoryCorruptError: acknowledged transactions are in the log and cannot be read.
    """
    for _ in range(_TRIES):
        before = read_witness(catalog)
        report = inspect_log(catalog, before)
        if not report.damaged:
            return
        if read_witness(catalog) == before:
            raise damaged_log(catalog, report)
    # Somebody is writing all the time, so the log is alive and in use: it is checked at the next opening.


def damaged_log(catalog: Path, report: LogReport) -> MemoryCorruptError:
    """The error that says so."""
    lost = f"{report.promised} frames were synced" if report.promised else f"{report.later} sound frames follow"
    return MemoryCorruptError(
        f"{catalog}-wal is damaged: its frame {report.frames + 1} does not match its checksum, and {lost}.",
        remedy=f"Restore the memory from a copy. To give up what the log held from there on, delete {catalog.name}-shm "
        f"and cut {catalog.name}-wal after its last sound transaction ({report.committed} frames).",
    )


def read_witness(catalog: Path) -> tuple[int, bytes]:
    """The last synced frame and the salt of its log, from the shared memory; (0, b"") if that tells nothing."""
    try:
        with Path(f"{catalog}-shm").open("rb") as file:
            data = file.read(2 * _SHARED_HEADER)
    except FileNotFoundError:
        return 0, b""
    header, copy = data[:_SHARED_HEADER], data[_SHARED_HEADER:]
    # Two equal copies with a checksum: one that is being written, or was damaged, is no witness.
    if len(copy) != _SHARED_HEADER or header != copy:
        return 0, b""
    version, initialised = struct.unpack_from("=I8xB", header)
    words = np.frombuffer(header, dtype=np.uint32)
    if version != _SHARED_VERSION or not initialised or _chained((0, 0), words[:10]) != tuple(words[10:].tolist()):
        return 0, b""
    # The salt is kept as it stands in the log; everything else is in the machine's own order.
    return int(words[4]), header[32:40]


def inspect_log(catalog: Path, witness: tuple[int, bytes] = (0, b"")) -> LogReport:
    """Read the log and compare every checksum.

    Args:
        catalog: the database file it belongs to.
        witness: what :func:`read_witness` told.
    """
    promised, salt = witness
    try:
        # Read, not mapped: another process may cut the log short, and a map would end with a signal there.
        file = np.fromfile(f"{catalog}-wal", dtype=np.uint8)
    except FileNotFoundError:
        return LogReport(0, 0, promised, 0)
    data = file[:_HEADER].tobytes()
    if len(data) < _HEADER:
        return LogReport(0, 0, promised, 0)
    magic, _, size = struct.unpack_from(">3I", data)
    order = ">u4" if magic & 1 else "<u4"
    header = np.frombuffer(data, dtype=order, count=6).astype(np.uint32)
    checksum = _chained((0, 0), header)
    if magic & ~1 != _MAGIC or checksum != struct.unpack_from(">2I", data, 24) or not _possible(size):
        return LogReport(0, 0, promised, 0)
    if salt and data[16:24] != salt:
        promised = 0  # of another log: one that was begun anew after this was copied into the catalog
    frames = file[_HEADER:]
    frames = frames[: len(frames) - len(frames) % (_FRAME_HEADER + size)].reshape(-1, _FRAME_HEADER + size)
    return _follow(frames, data[16:24], order, checksum, promised)


def _follow(frames: NDArray[np.uint8], salt: bytes, order: str, checksum: tuple[int, int], promised: int) -> LogReport:
    """Walk along the chain of checksums as far as it holds, then look for what lies beyond."""
    ours = (frames[:, 8:16] == np.frombuffer(salt, dtype=np.uint8)).all(axis=1)
    ends = (np.ascontiguousarray(frames[:, 4:8]).view(">u4")[:, 0] != 0) & ours
    stored = np.ascontiguousarray(frames[:, 16:24]).view(">u4").astype(np.uint32)
    sums = np.empty((len(frames), 2), dtype=np.uint32)
    for start in range(0, len(frames), _AT_ONCE):
        some = frames[start : start + _AT_ONCE]
        sums[start : start + _AT_ONCE] = _sums(
            np.concatenate((some[:, :8], some[:, _FRAME_HEADER:]), axis=1).view(order).astype(np.uint32)
        )
    power = _power((frames.shape[1] - _FRAME_HEADER + 8) // 8)
    sound = committed = 0
    for number in range(len(frames)):
        checksum = _next(checksum, power, sums[number])
        if not ours[number] or checksum != tuple(stored[number].tolist()):
            break
        sound = number + 1
        if ends[number]:
            committed = sound
    # Each frame's checksum goes on from the one before it, so a frame can be checked by its neighbour's word alone.
    chained = [
        number
        for number in range(sound + 1, len(frames))
        if ours[number]
        and _next((int(stored[number - 1, 0]), int(stored[number - 1, 1])), power, sums[number])
        == tuple(stored[number].tolist())
    ]
    rest = np.flatnonzero(ends[sound:])
    own_end = sound + int(rest[0]) if len(rest) else len(frames)
    return LogReport(sound, committed, promised, sum(number > own_end for number in chained))


def _possible(size: int) -> bool:
    return 512 <= size <= 65_536 and size & (size - 1) == 0


def _chained(start: tuple[int, int], words: _Words) -> tuple[int, int]:
    """SQLite's checksum of an even number of words, going on from ``start``."""
    return _next(start, _power(len(words) // 2), _sums(words[None, :])[0])


def _next(before: tuple[int, int], power: tuple[int, int, int, int], summed: NDArray[Any]) -> tuple[int, int]:
    a, b, c, d = power
    first, second = before
    return (a * first + b * second + int(summed[0])) & 0xFFFFFFFF, (
        c * first + d * second + int(summed[1])
    ) & 0xFFFFFFFF


def _sums(words: _Words) -> _Words:
    """The checksums (n, 2) of rows of words, each starting from zero.

    ``s0 += x0 + s1; s1 += x1 + s0`` is linear modulo 2**32, so a word counts by a factor that its place gives it.
    """
    first, second = _factors(words.shape[1] // 2)
    with np.errstate(over="ignore"):
        return np.stack((words @ first, words @ second), axis=1)


@cache
def _factors(steps: int) -> tuple[_Words, _Words]:
    """What each word counts in the two sums, (2 * steps) each."""
    out = np.empty((2, 2 * steps), dtype=np.uint32)
    # One step is s <- ((1, 1), (1, 2)) s + (x0, x0 + x1); walk from the last step to the first.
    a, b, c, d = 1, 0, 0, 1
    for step in reversed(range(steps)):
        out[:, 2 * step] = (a + b) & 0xFFFFFFFF, (c + d) & 0xFFFFFFFF
        out[:, 2 * step + 1] = b & 0xFFFFFFFF, d & 0xFFFFFFFF
        a, b, c, d = a + b, a + 2 * b, c + d, c + 2 * d
        a, b, c, d = a & 0xFFFFFFFF, b & 0xFFFFFFFF, c & 0xFFFFFFFF, d & 0xFFFFFFFF
    return out[0], out[1]


@cache
def _power(steps: int) -> tuple[int, int, int, int]:
    """((1, 1), (1, 2)) to a power, modulo 2**32: what becomes of the checksum before."""
    a, b, c, d = 1, 0, 0, 1
    for _ in range(steps):
        a, b, c, d = (a + b) & 0xFFFFFFFF, (a + 2 * b) & 0xFFFFFFFF, (c + d) & 0xFFFFFFFF, (c + 2 * d) & 0xFFFFFFFF
    return a, b, c, d
