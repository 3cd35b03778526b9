"""Standing between a process and its disk: each write, sync, rename and removal is announced before it happens.

SQLite writes through a table of functions, its VFS; this module puts its own in front of them, in this process only.
Python's writes are seen at ``os.fsync``, ``os.replace``, ``os.rename`` and ``os.unlink``. There is no way back: it is
for processes that are started to be killed, or to be shown a broken disk.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sqlite3
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, Final, NoReturn

from cem_rag_app.errors import MissingDependencyError


class Order(Enum):
    """What shall become of a step that has been announced."""

    GO_ON = "go on"
    DIE = "die"
    """The process is killed before the step."""
    TEAR = "tear"
    """Half of the bytes are written, then the process is killed; a step that writes none is not begun."""
    NO_SPACE = "no space"
    """The step fails as on a full disk."""
    BROKEN = "broken"
    """The step fails as on a broken disk."""


Observer = Callable[[str], Order]
"""Called with the name of a step, ``log: write`` or ``pack: sync``; says what shall become of it."""

_OK: Final = 0
_ERRNO: Final = {Order.NO_SPACE: errno.ENOSPC, Order.BROKEN: errno.EIO}
_FULL: Final = 13
_IO_ERROR: Final = {"write": 778, "sync": 1034, "truncate": 1546}
"""SQLite's extended result codes (https://www.sqlite.org/rescode.html)."""

_ROLES: Final = {0x100: "catalog", 0x80000: "log", 0x800: "journal"}
"""Flags of ``xOpen`` that say what a file is for."""

_Pointer = ctypes.c_void_p
_WRITE = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, _Pointer, ctypes.c_int, ctypes.c_int64)
_TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, ctypes.c_int64)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, ctypes.c_int)
# The name as a pointer: SQLite keeps it for as long as the file is open, and a copy of ours would be gone by then.
_OPEN = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, _Pointer, _Pointer, ctypes.c_int, _Pointer)


class _Vfs(ctypes.Structure):
    """The beginning of ``sqlite3_vfs``."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("longest_path", ctypes.c_int),
        ("next", _Pointer),
        ("name", ctypes.c_char_p),
        ("data", _Pointer),
        ("open", _Pointer),
    )


class _Methods(ctypes.Structure):
    """``sqlite3_io_methods`` of version 3."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("close", _Pointer),
        ("read", _Pointer),
        ("write", _Pointer),
        ("truncate", _Pointer),
        ("sync", _Pointer),
        ("rest", _Pointer * 13),
    )


class _File(ctypes.Structure):
    """The beginning of ``sqlite3_file``."""

    _fields_ = (("methods", ctypes.POINTER(_Methods)),)


def die() -> NoReturn:
    """End this process as kill -9 does: nothing is flushed, nothing is cleaned up."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit(1)


def intercept(observer: Observer) -> None:
    """Announce every step of this process to ``observer`` from now on.

    Raises:
        MissingDependencyError: SQLite's library cannot be reached from here.
    """
    _intercept_sqlite(observer)
    _intercept_python(observer)


def _intercept_python(observer: Observer) -> None:
    """Replace the functions of ``os`` that make files durable, visible and gone; ``pathlib`` calls them too."""

    def guarded(step: str, function: Callable[..., Any], path_of: Callable[..., str]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            order = observer(f"{_kind(path_of(*arguments))}: {step}")
            if order in (Order.DIE, Order.TEAR):
                die()
            if order in _ERRNO:
                raise OSError(_ERRNO[order], os.strerror(_ERRNO[order]))
            return function(*arguments, **named)

        return call

    def opened(descriptor: int) -> str:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink())

    def target(_source: Any, path: Any) -> str:
        return str(path)

    os.fsync = guarded("sync", os.fsync, opened)
    os.replace = guarded("rename", os.replace, target)
    os.rename = guarded("rename", os.rename, target)
    os.unlink = guarded("remove", os.unlink, str)
    os.remove = os.unlink


def _kind(path: str) -> str:
    """What a file is for, by where it lies: ``pack``, ``index``, ``lexical``, or ``file``."""
    file = Path(path)
    if file.is_dir():
        return f"folder {file.name}" if file.name in ("packs", "index", "lexical") else "folder"
    folder = file.parent.name.removesuffix("s")
    return folder if folder in ("pack", "index", "lexical") else "file"


def _intercept_sqlite(observer: Observer) -> None:
    """Put an ``xOpen`` of our own before that of SQLite's default VFS; files it opens get methods of our own."""
    library = _library()
    library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    vfs = library.sqlite3_vfs_find(None).contents
    original = _OPEN(vfs.open)
    tables: dict[tuple[str, int], _Methods] = {}

    def xopen(this: int, name: int | None, file: int, flags: int, out: int) -> int:
        result = int(original(this, name, file, flags, out))
        role = next((role for flag, role in _ROLES.items() if flags & flag), None)
        if result == _OK and role is not None:
            opened = _File.from_address(file)
            address = ctypes.addressof(opened.methods.contents)
            if (role, address) not in tables:
                tables[role, address] = _observed(role, opened.methods.contents, observer)
            opened.methods = ctypes.pointer(tables[role, address])
        return result

    callback = _OPEN(xopen)
    _kept.append((callback, tables))
    vfs.open = ctypes.cast(callback, _Pointer).value


def _observed(role: str, methods: _Methods, observer: Observer) -> _Methods:
    """A copy of SQLite's methods for one kind of file, with ours where bytes move."""
    table = _Methods()
    ctypes.pointer(table)[0] = methods
    write, truncate, sync = _WRITE(methods.write), _TRUNCATE(methods.truncate), _SYNC(methods.sync)

    def ordered(step: str) -> tuple[Order, int]:
        order = observer(f"{role}: {step}")
        if order is Order.DIE:
            die()
        return order, {Order.NO_SPACE: _FULL, Order.BROKEN: _IO_ERROR[step]}.get(order, _OK)

    def xwrite(file: int, data: int, size: int, offset: int) -> int:
        order, code = ordered("write")
        if order is Order.TEAR:
            write(file, data, size // 2, offset)
            die()
        return code or int(write(file, data, size, offset))

    def xtruncate(file: int, size: int) -> int:
        order, code = ordered("truncate")
        if order is Order.TEAR:
            die()
        return code or int(truncate(file, size))

    def xsync(file: int, flags: int) -> int:
        order, code = ordered("sync")
        if order is Order.TEAR:
            die()
        return code or int(sync(file, flags))

    callbacks = _WRITE(xwrite), _TRUNCATE(xtruncate), _SYNC(xsync)
    _kept.append(callbacks)
    table.write, table.truncate, table.sync = (ctypes.cast(one, _Pointer).value for one in callbacks)
    return table


_kept: list[Any] = []
"""What C code points to must not be collected."""


def _library() -> ctypes.CDLL:
    """The SQLite that Python's own module uses: reached through that module, wherever it was linked from."""
    import _sqlite3

    library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
    if not hasattr(library, "sqlite3_vfs_find"):
        raise MissingDependencyError(
            f"The functions of SQLite {sqlite3.sqlite_version} are hidden in this Python.",
            remedy="Run it with a Python that links SQLite as a shared library.",
        )
    return library
