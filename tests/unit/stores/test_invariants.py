"""I1 in the stores: everything works with decompression taken away, up to the tail, which fails."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import stores
from cem_rag_app.cem.encoder import CompressedEncoder
from cem_rag_app.cem.teachers.base import unit_rows
from cem_rag_app.schema import FloatArray, Query
from cem_rag_app.zpkg import late
from stores.memory import Encoders, Memory
from stores.search import search
from tests.fakes.encoders import HashedTextEncoder, SeeThroughEncoder
from tests.unit.stores.conftest import MakeMemory, history, said

OPENERS = {"tail.py"}
"""Modules of the stores that may import ``zpkg.late``, from their root."""

RETRAINERS = {"packing.py"}
"""Modules that may re-pack with another dictionary, which opens frames: training, not retrieval."""


class Decompressed(Exception):
    """Somebody opened a frame."""


@pytest.fixture
def no_decompression(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise Decompressed

    monkeypatch.setattr(late, "decompress", refuse)
    monkeypatch.setattr(late, "read_text", refuse)


class Directions:
    """Queries for a student whose teacher is not needed here: some unit vector a text."""

    def __init__(self, document: CompressedEncoder) -> None:
        self.name = document.teacher
        self.dimension = document.dimension

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        rows = [np.random.default_rng(len(text)).standard_normal(self.dimension) for text in texts]
        return unit_rows(np.array(rows, dtype=np.float32))


def real_student(_name: str) -> Encoders:
    document = CompressedEncoder.from_pretrained("cem-mini-en")
    return Encoders(Directions(document), document)


def fake_student(_name: str) -> Encoders:
    teacher = HashedTextEncoder()
    return Encoders(teacher, SeeThroughEncoder(teacher))


@pytest.mark.parametrize("encoders", [real_student, fake_student])
@pytest.mark.usefixtures("no_decompression")
def test_everything_up_to_the_tail_works_without_decompression(make_memory: MakeMemory, encoders: object) -> None:
    memory: Memory = make_memory(encoders=encoders)
    memory.import_messages(history(30))
    assert memory.build(index="hnsw").embedded == 30
    memory.remember(said("user", "第7天吃什么", 1e6), turn_id="a", position=0)
    query = Query("第7天吃什么", k=3)
    recall = memory.settings.recall
    found = search(query, memory.database, memory.index, memory.lexical, memory.encoders().query, recall)
    assert len(found) >= 30
    if encoders is fake_student:
        assert {one.chunk_id for one in found[:2]} == {8, 31}
    assert len(memory.index) == 31
    with pytest.raises(Decompressed):
        memory.recall(query)  # the tail, and nothing before it


def test_a_damaged_index_is_rebuilt_without_decompression(
    make_memory: MakeMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = make_memory()
    memory.import_messages(history(5))
    memory.build()
    memory.close()
    (memory.path / "index" / "faiss_index.bin").write_bytes(b"torn")
    monkeypatch.setattr(late, "decompress", lambda *_, **__: pytest.fail("opened a frame"))
    again = make_memory()
    assert again.index.sync() == 5


def test_only_the_tail_imports_decompression() -> None:
    root = Path(str(stores.__path__[0]))
    openers, retrainers = set(), set()
    for file in root.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                names = {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
            elif isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            else:
                continue
            if "cem_rag_app.zpkg.late" in names:
                openers.add(file.relative_to(root).as_posix())
            if "cem_rag_app.zpkg.repack" in names:
                retrainers.add(file.relative_to(root).as_posix())
    assert openers == OPENERS
    assert retrainers == RETRAINERS


def test_the_frames_the_student_is_given_are_the_stored_bytes(make_memory: MakeMemory) -> None:
    """I2: compressed bytes and their dictionary, and nothing else of a chunk."""
    seen: list[bytes] = []
    teacher = HashedTextEncoder()

    class Watching(SeeThroughEncoder):
        def encode(self, frames: Sequence[bytes], dictionary: object) -> FloatArray:
            seen.extend(frames)
            return super().encode(frames, dictionary)  # type: ignore[arg-type]

    memory = make_memory(encoders=lambda _: Encoders(teacher, Watching(teacher)))
    memory.import_messages(history(5))
    memory.build()
    stored = memory.frames.frames(range(1, 6))  # the first frame given is the one the encoder is known by
    assert seen[1:] == [stored[chunk_id].frame for chunk_id in range(1, 6)]
