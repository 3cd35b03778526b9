"""SQLite's locks belong to the process: nothing else here that looks at the files lets go of them."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

from stores.catalog.database import Database
from stores.forgetting.checkpoints import clear_checkpoints
from stores.memory import Memory

_WRITE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    connection.execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as error:
    print(error)
else:
    connection.execute("ROLLBACK")
    print("free")
"""


def as_another_process_finds(file: Path) -> str:
    """What another process is told that wants to write: ``free`` or ``database is locked``."""
    command = [sys.executable, "-I", "-c", _WRITE, str(file)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_clearing_checkpoints_lets_go_of_no_lock_on_the_catalog(memory: Memory) -> None:
    catalog = memory.database.path
    with memory.database.write():
        assert as_another_process_finds(catalog) == "database is locked"
        assert clear_checkpoints(memory.path, catalog) == 0
        assert as_another_process_finds(catalog) == "database is locked"
    assert as_another_process_finds(catalog) == "free"


def test_clearing_checkpoints_lets_go_of_no_lock_on_another_database_in_the_folder(memory: Memory) -> None:
    file = memory.path / "notes.sqlite"
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("CREATE TABLE notes (line TEXT)")
    connection.execute("BEGIN IMMEDIATE")
    assert clear_checkpoints(memory.path, memory.database.path) == 0
    assert as_another_process_finds(file) == "database is locked"
    connection.close()


def test_files_that_are_no_database_hold_no_checkpoints(memory: Memory) -> None:
    (memory.path / "notes.txt").write_bytes(b"a line of notes\n" * 1000)
    (memory.path / "empty.sqlite").touch()
    (memory.path / "folder.sqlite").mkdir()
    assert clear_checkpoints(memory.path, memory.database.path) == 0
    assert (memory.path / "notes.txt").read_bytes() == b"a line of notes\n" * 1000


def test_opening_a_catalog_by_another_of_its_paths_lets_go_of_no_lock(memory: Memory, tmp_path: Path) -> None:
    catalog = memory.database.path
    link = tmp_path / "link"
    link.symlink_to(memory.path, target_is_directory=True)
    with memory.database.write():
        for other in (link / catalog.name, memory.path / ".." / memory.path.name / catalog.name):
            second = Database(other)
            assert as_another_process_finds(catalog) == "database is locked", other
            second.close()
            assert as_another_process_finds(catalog) == "database is locked", other
