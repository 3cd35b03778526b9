"""Every file of a memory cut at every byte: each is named as torn, and what may be made again is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cem_rag_app.errors import CemRagError, MemoryCorruptError, StoreError, ZpkgError
from cem_rag_app.schema import MemoryItem, Message, Query
from cem_rag_app.zpkg.reader import open_pack
from stores.durability import workload
from stores.durability.encoder import NAME, hashed_encoders
from stores.indexes.files import load_index
from stores.lexical.segment import Segment
from stores.memory import Memory, MemoryProfile

CATALOG_STEP = 1009
"""Bytes between two cuts of the catalog, a prime: each opens a whole memory."""


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A small memory with one pack, sealed terms, a saved index, and nobody who has it open."""
    path = tmp_path / "sound"
    profile = MemoryProfile("chat", NAME, language="other")  # no shipped dictionary: packs are small
    with Memory.create(path, profile, encoders=hashed_encoders, settings=workload.settings()) as memory:
        memory.import_messages(Message("user", "x", f"第{n}句话 boundary layer", 1e9 + n) for n in range(12))
        memory.import_items(MemoryItem(f"d{n}", f"heat of the wing {n}") for n in range(4))
        memory.build()
    return path


def cuts(file: Path, step: int = 1) -> Iterator[int]:
    """The file cut shorter and shorter, from its whole length to nothing; it is whole again at the end."""
    whole = file.read_bytes()
    for size in range(len(whole) - 1, -1, -step):
        os.truncate(file, size)
        yield size
    file.write_bytes(whole)


def verified_pack(path: Path) -> None:
    with open_pack(path) as pack:
        pack.verify()


def verified_segment(path: Path) -> None:
    Segment(path).verify()


@pytest.mark.parametrize(
    ("pattern", "read", "error"),
    [
        ("packs/*.zpkg", verified_pack, ZpkgError),
        ("lexical/*.postings", verified_segment, MemoryCorruptError),
        ("index/*", lambda path: load_index(path.parent), MemoryCorruptError),
    ],
)
def test_a_file_cut_at_any_byte_is_named(
    sound: Path, pattern: str, read: Callable[[Path], object], error: type[CemRagError]
) -> None:
    files = sorted(sound.glob(pattern))
    assert files
    for file in files:
        read(file)
        for size in cuts(file):
            with pytest.raises(error):
                read(file)
                pytest.fail(f"{file.name} cut to {size} bytes was believed")
        read(file)


def everything(memory: Memory) -> tuple[dict[str, str], list[str]]:
    hits = memory.recall(Query("boundary 第7句话 heat", k=8, now=2e9))
    return dict(workload.held(memory)), [hit.text for hit in hits]


def test_a_catalog_cut_anywhere_is_named_or_has_lost_nothing(sound: Path, tmp_path: Path) -> None:
    with workload.reopen(sound) as memory:
        expected = everything(memory)
    copy = tmp_path / "copy"
    named = 0
    size = (sound / "catalog.sqlite").stat().st_size
    for cut in (*range(size - 64, size, 9), *range(0, size, CATALOG_STEP)):
        shutil.copytree(sound, copy)
        os.truncate(copy / "catalog.sqlite", cut)
        try:
            with workload.reopen(copy) as memory:
                if memory.check().ok:
                    assert everything(memory) == expected, cut
                else:
                    named += 1
        except StoreError:
            named += 1
        shutil.rmtree(copy)
    assert named > size // CATALOG_STEP - 5


def test_an_index_cut_to_pieces_is_rebuilt_and_answers_as_before(sound: Path) -> None:
    with workload.reopen(sound) as memory:
        expected = everything(memory)
    for file in sorted((sound / "index").iterdir()):
        os.truncate(file, file.stat().st_size // 2)
        with workload.reopen(sound) as memory:
            report = memory.check()
            assert report.ok
            assert [finding.severity for finding in report.findings] == ["note"]
            assert everything(memory) == expected
            memory.build()
            assert memory.check().findings == ()
