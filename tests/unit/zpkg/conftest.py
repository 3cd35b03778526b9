"""A small corpus, its dictionary and a pack of it, made once."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary, train_dictionary
from cem_rag_app.zpkg.reader import Reader
from cem_rag_app.zpkg.writer import PackWriter

_LINE = (
    "memory chunk frame dictionary offset table header reader writer search index vector teacher student "
    "火锅 宝贝 晚安 今天 下雨 咖啡 周末 电影 想你 加班"
)
_WORDS = _LINE.split()


@pytest.fixture(scope="session")
def texts() -> list[bytes]:
    """400 distinct chunks of English and Chinese words."""
    pick = random.Random(7)
    return [f"{n}: {' '.join(pick.choices(_WORDS, k=30))}.".encode() for n in range(400)]


@pytest.fixture(scope="session")
def dictionary(texts: list[bytes]) -> Dictionary:
    return train_dictionary(texts, 4096)


@pytest.fixture(scope="session")
def other_dictionary() -> Dictionary:
    pick = random.Random(8)
    lines = [" ".join(str(pick.randrange(10**6)) for _ in range(12)).encode() for _ in range(400)]
    return train_dictionary(lines, 4096)


@pytest.fixture(scope="session")
def small_pack(tmp_path_factory: pytest.TempPathFactory, texts: list[bytes], dictionary: Dictionary) -> bytes:
    """The bytes of a pack of the first five chunks."""
    path = tmp_path_factory.mktemp("small") / "small.zpkg"
    compressor = Compressor(dictionary)
    with PackWriter(path, dictionary) as writer:
        for text in texts[:5]:
            writer.add(compressor.compress(text))
        writer.seal()
    return path.read_bytes()


@pytest.fixture(scope="session")
def reader_of() -> Callable[[bytes], Reader]:
    """A reader of bytes in memory, which gives short reads at the end as a file does."""

    def make(data: bytes) -> Reader:
        return Reader(lambda start, length: data[start : start + length], len(data))

    return make


@pytest.fixture(scope="session")
def write_pack() -> Callable[[Path, Dictionary, list[bytes]], None]:
    def write(path: Path, dictionary: Dictionary, frames: list[bytes]) -> None:
        with PackWriter(path, dictionary) as writer:
            for frame in frames:
                writer.add(frame)
            writer.seal()

    return write
