"""Files that are there whole or not at all, and full disks named as what they are."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cem_rag_app.errors import DiskFullError, StoreError

_BROKEN = frozenset({errno.EIO, errno.EROFS})
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def create_temporary(folder: Path, suffix: str = ".zpkg.tmp") -> BinaryIO:
    """A new empty file in ``folder``, open for writing and reading; whoever asked removes or renames it."""
    return tempfile.NamedTemporaryFile("w+b", dir=folder, suffix=suffix, delete=False)  # type: ignore[return-value]


def discard(file: BinaryIO) -> None:
    """Close and remove a temporary file; one that was renamed into place is no longer under its name."""
    with contextlib.suppress(OSError):  # closing flushes, and a full disk fails again: what is given up needs no bytes
        file.close()
    Path(file.name).unlink(missing_ok=True)


def publish(file: BinaryIO, path: Path) -> None:
    """Make a finished temporary file durable and let it appear as ``path``, replacing what is there."""
    file.flush()
    os.fsync(file.fileno())
    file.close()
    Path(file.name).replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and removals durable. Windows has no folder handles to sync and journals them itself."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def full_disk_named(
    path: Path, safe: str = "no half-written file is left", remedy: str = "Free some space and try again."
) -> Iterator[None]:
    """Raise a full disk as :class:`DiskFullError`, a broken one as :class:`StoreError`; other errors as they are.

    Args:
        path: what is being written.
        safe: what the message says is safe.
        remedy: what to do about a full disk.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise DiskFullError(f"No space left while writing {path}; {safe}.", remedy=remedy) from error
        if error.errno in _BROKEN:
            raise StoreError(
                f"{error.filename or path} cannot be read or written ({error.strerror}); {safe}.",
                remedy="Look at the disk and how it is mounted, then run the command again.",
            ) from error
        raise
