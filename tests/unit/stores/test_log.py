"""The write-ahead log from outside: every checksum is SQLite's own; damage and a torn tail are told apart."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from cem_rag_app.errors import MemoryCorruptError
from stores.catalog.database import Database
from stores.catalog.log import check_log, inspect_log, read_witness

HEADER, FRAME = 32, 24 + 4096


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A catalog as a killed process leaves it: eight transactions in the log, none in the file."""
    alive = tmp_path / "alive" / "catalog.sqlite"
    alive.parent.mkdir()
    connection = sqlite3.connect(alive, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE lines (number INTEGER PRIMARY KEY, line BLOB)")
    chance = random.Random(0)
    for number in range(8):
        connection.execute("BEGIN")
        for part in range(4):
            connection.execute("INSERT INTO lines VALUES (?, ?)", (number * 4 + part, chance.randbytes(1500)))
        connection.execute("COMMIT")
    dead = tmp_path / "dead"
    shutil.copytree(alive.parent, dead)
    connection.close()
    return dead / alive.name


def log_of(catalog: Path) -> Path:
    return Path(f"{catalog}-wal")


def rows(catalog: Path) -> int:
    connection = sqlite3.connect(catalog)
    try:
        return int(connection.execute("SELECT count(*) FROM lines").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


def flip(file: Path, place: int, bit: int = 0) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 1 << bit
    file.write_bytes(data)


def test_a_sound_log_is_read_to_its_end_and_the_witness_names_it(killed: Path) -> None:
    report = inspect_log(killed, read_witness(killed))
    assert report.frames == report.committed == report.promised == (log_of(killed).stat().st_size - HEADER) // FRAME
    assert not report.damaged
    check_log(killed)


def test_our_walk_along_the_log_ends_where_sqlites_does(killed: Path, tmp_path: Path) -> None:
    """Flips and cuts anywhere: as many transactions are committed for us as SQLite reads."""
    chance = random.Random(1)
    size = log_of(killed).stat().st_size
    whole = inspect_log(killed).committed
    shared = Path(f"{killed}-shm")
    shared.unlink()
    for number in range(60):
        copy = tmp_path / f"copy-{number}"
        shutil.copytree(killed.parent, copy)
        catalog = copy / killed.name
        if number % 2:
            flip(log_of(catalog), chance.randrange(size), chance.randrange(8))
        else:
            os.truncate(log_of(catalog), chance.randrange(size))
        committed = inspect_log(catalog).committed
        expected = rows(catalog)
        assert committed <= whole
        if committed < whole:
            # A prefix of whole transactions, and the same one: cut the log there and SQLite reads as much.
            again = tmp_path / "again"
            shutil.copytree(killed.parent, again)
            os.truncate(log_of(again / killed.name), HEADER + committed * FRAME if committed else 0)
            assert rows(again / killed.name) == expected
            shutil.rmtree(again)
        shutil.rmtree(copy)


def test_a_flip_anywhere_in_the_log_is_named_before_sqlite_reads_it(killed: Path) -> None:
    log = log_of(killed)
    data = log.read_bytes()
    chance = random.Random(2)
    places = [*range(HEADER), *range(HEADER, HEADER + 24), *(chance.randrange(len(data)) for _ in range(60))]
    for place in places:
        log.write_bytes(data)
        flip(log, place, chance.randrange(8))
        with pytest.raises(MemoryCorruptError, match=r"wal is damaged.*Restore"):
            check_log(killed)
    log.write_bytes(data)
    check_log(killed)


def test_without_the_witness_a_flip_before_the_last_transaction_is_named_all_the_same(killed: Path) -> None:
    Path(f"{killed}-shm").unlink()
    log = log_of(killed)
    data = log.read_bytes()
    flip(log, HEADER + FRAME * 2 + 100)
    with pytest.raises(MemoryCorruptError, match="sound frames follow"):
        check_log(killed)
    log.write_bytes(data)
    flip(log, len(data) - 100)  # in the last transaction: it may as well be a tail that never reached the disk
    check_log(killed)


def test_a_torn_tail_beyond_what_was_promised_is_no_damage(killed: Path) -> None:
    log = log_of(killed)
    data = log.read_bytes()
    for cut in (1, 23, 24, 100, FRAME - 1):
        log.write_bytes(data + data[-FRAME:][:cut])
        check_log(killed)
    log.write_bytes(data + bytes(FRAME * 3))
    check_log(killed)


@pytest.mark.parametrize("cut", [0, 20, HEADER, HEADER + 10, HEADER + FRAME * 3 + 1, -1])
def test_a_log_cut_below_what_was_promised_is_damage(killed: Path, cut: int) -> None:
    log = log_of(killed)
    os.truncate(log, cut if cut >= 0 else log.stat().st_size + cut)
    with pytest.raises(MemoryCorruptError, match="were synced"):
        check_log(killed)


def test_a_damaged_witness_is_no_witness(killed: Path) -> None:
    shared = Path(f"{killed}-shm")
    data = shared.read_bytes()
    for place in range(96):
        shared.write_bytes(data)
        flip(shared, place)
        assert read_witness(killed) == (0, b"")
        check_log(killed)


def test_opening_a_memory_looks_at_its_log_first(killed: Path) -> None:
    flip(log_of(killed), HEADER + FRAME + 50)
    with pytest.raises(MemoryCorruptError, match="frame 2"):
        Database.open(killed)
