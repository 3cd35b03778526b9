"""What a level and a dictionary size cost and save, measured on real packs."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary, train_dictionary
from cem_rag_app.zpkg.reader import open_pack
from cem_rag_app.zpkg.writer import PackWriter

CHUNKS_READ = 10
_ROUNDS = 200


@dataclass(frozen=True, slots=True)
class StoragePoint:
    """One level with one dictionary, on one corpus."""

    level: int
    dictionary_size: int
    """Bytes the dictionary really has; 0 is none."""
    chunks: int
    text_bytes: int
    pack_bytes: int
    """Header, dictionary, offset table and frames."""
    ratio: float
    """``text_bytes / pack_bytes``."""
    access_ms: float
    """Milliseconds to read ten random frames through a warm, memory-mapped reader; median."""
    read_ms: float | None
    """The same and opened to text, where ``open_frame`` was given."""
    compress_mb_per_second: float
    """10**6 bytes of text a second, one thread."""
    train_seconds: float


def measure_storage(
    texts: Sequence[bytes],
    levels: Iterable[int],
    dictionary_sizes: Iterable[int],
    *,
    open_frame: Callable[[bytes, Dictionary], bytes] | None = None,
    seed: int = 0,
) -> list[StoragePoint]:
    """Pack the same chunks at every level with every dictionary size.

    Args:
        texts: the chunks; dictionaries are trained on them, as a memory trains its own.
        levels: zstd levels.
        dictionary_sizes: bytes; 0 packs without a dictionary.
        open_frame: decompression, when opening is to be timed too. It is handed in, because only the tail of
            retrieval and baselines may import it.
        seed: of the choice of chunks that are read.

    Returns:
        One point for each pair, dictionary sizes in the outer loop.
    """
    if not texts:
        return []
    levels = tuple(levels)
    chosen = random.Random(seed).choices(range(len(texts)), k=CHUNKS_READ)  # noqa: S311 - a sample, no secret
    points: list[StoragePoint] = []
    with tempfile.TemporaryDirectory(prefix="zpkg-measure-") as folder:
        for size in dictionary_sizes:
            started = time.perf_counter()
            dictionary = train_dictionary(texts, size) if size else Dictionary(b"")
            trained = time.perf_counter() - started
            for level in levels:
                path = Path(folder) / f"{size}-{level}.zpkg"
                points.append(_measure(texts, level, dictionary, trained, path, chosen, open_frame))
                path.unlink()
    return points


def _measure(
    texts: Sequence[bytes],
    level: int,
    dictionary: Dictionary,
    trained: float,
    path: Path,
    chosen: Sequence[int],
    open_frame: Callable[[bytes, Dictionary], bytes] | None,
) -> StoragePoint:
    compressor = Compressor(dictionary, level)
    compressor.compress(texts[0])  # loads the dictionary
    started = time.perf_counter()
    frames = [compressor.compress(text) for text in texts]
    spent = time.perf_counter() - started
    with PackWriter(path, dictionary) as writer:
        for frame in frames:
            writer.add(frame)
        info = writer.seal()
    with open_pack(path) as reader:
        access = _median_milliseconds(lambda: [reader[index] for index in chosen])
        read = None
        if open_frame is not None:
            opened, kept = open_frame, reader.dictionary
            read = _median_milliseconds(lambda: [opened(reader[index], kept) for index in chosen])
    text_bytes = sum(map(len, texts))
    return StoragePoint(
        level=level,
        dictionary_size=len(dictionary.data),
        chunks=len(texts),
        text_bytes=text_bytes,
        pack_bytes=info.size,
        ratio=text_bytes / info.size,
        access_ms=access,
        read_ms=read,
        compress_mb_per_second=text_bytes / spent / 1e6,
        train_seconds=trained,
    )


def _median_milliseconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return sorted(times)[_ROUNDS // 2] * 1000
