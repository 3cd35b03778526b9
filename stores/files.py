"""Files that are there whole or not at all, and the one lock that writers of a memory share."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from cem_rag_app.errors import MemoryBusyError
from cem_rag_app.files import create_temporary, discard, full_disk_named, publish

_PIECE = 1 << 20


def replace_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file beside ``path``, make it durable, and let it take that name: temp, fsync, rename, fsync the folder.

    A crash at any instruction leaves the old file or the new one, never a mixture.

    Raises:
        DiskFullError: no space is left; the old file is untouched.
    """
    with named_disk_errors(path), contextlib.ExitStack() as cleanup:
        file = create_temporary(path.parent, suffix=".tmp")
        cleanup.callback(discard, file)
        write(file)
        publish(file, path)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def folder_bytes(folder: Path) -> int:
    """Bytes of the files directly in a folder; 0 without one."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) if folder.is_dir() else 0


@contextlib.contextmanager
def named_disk_errors(path: Path) -> Iterator[None]:
    """A full or broken disk is named as what it is, with the file that was being written."""
    safe = "everything acknowledged before is safe"
    with full_disk_named(path, safe, "Free some space and run the command again: it continues where it stopped."):
        yield


@contextlib.contextmanager
def writer_lock(memory: Path) -> Iterator[None]:
    """Hold the right to import, build or compact: one process, one operation at a time.

    The operating system lets go of it when the holder dies, so a killed import never blocks the next one.
    Remembering a message does not need it.

    Raises:
        MemoryBusyError: another import, build or compaction is running.
    """
    import fcntl

    with (memory / "lock").open("a+b") as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MemoryBusyError(
                f"Another import, build or compaction is writing to {memory}.",
                remedy="Wait until it has finished, then run the command again.",
            ) from error
        with named_disk_errors(memory):
            yield
