"""Ask a text encoder for the vectors of a whole corpus with several processes, before a student is trained on them.

    python -m scripts.fill_teacher_cache TEXTS --cache FOLDER [--teacher minilm-en] [--limit 300000] [--processes 2]

TEXTS holds a passage a line. One process with one thread a core reads texts faster than one process with
all of them (docs/teachers.md).
A run that was stopped goes on where it was; ``cem-rag train cem TEXTS --cache FOLDER`` then finds every vector.
MiniLM runs in bfloat16 here, whose vectors have a cosine above .999 to float32's.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cem_rag_app.cem.teacher_cache import TeacherCache
from cem_rag_app.cem.teachers.base import IdentifiedEncoder
from cem_rag_app.cem.teachers.registry import load_teacher
from cem_rag_app.cem.training.data import read_texts
from cem_rag_app.schema import FloatArray

_SHARE = 256
"""Texts a process takes at a time."""
_encoder: IdentifiedEncoder | None = None


class ProcessesEncoder:
    """A teacher that answers with the voices of several processes.

    Args:
        name: of the teacher.
        processes: how many.
    """

    def __init__(self, name: str, processes: int) -> None:
        teacher = load_teacher(name)
        self.name = teacher.name
        self.revision = teacher.revision
        self.pooling = teacher.pooling
        self.dimension = teacher.dimension
        self._pool = multiprocessing.get_context("spawn").Pool(processes, _start, (name,))

    def encode_documents(self, texts: Sequence[str]) -> FloatArray:
        """``(n, dimension)`` float32, unit rows."""
        parts = [list(texts[start : start + _SHARE]) for start in range(0, len(texts), _SHARE)]
        return np.concatenate(self._pool.map(_encode, parts, chunksize=1))

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """``(n, dimension)`` float32, unit rows, by this process alone: a corpus has documents only."""
        return load_teacher(self.name).encode_queries(texts)


def main(arguments: list[str] | None = None) -> int:
    """Fill the cache; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--teacher", default="minilm-en")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args(arguments)
    texts = [text for text in read_texts(options.texts, options.limit) if text]
    cache = TeacherCache(options.cache, ProcessesEncoder(options.teacher, options.processes))
    started = time.monotonic()

    def tell(done: int, total: int) -> None:
        rate = done / (time.monotonic() - started)
        print(f"{done} of {total}, {rate:.0f} a second, {(total - done) / rate:.0f} s left", flush=True)

    cache.fill(texts, block=16 * _SHARE, progress=tell)
    print(f"{len(cache)} vectors in {cache.folder}")
    return 0


def _start(name: str) -> None:
    global _encoder  # noqa: PLW0603 - one encoder a process, made once
    import torch

    torch.set_num_threads(1)
    if name == "minilm-en":
        from cem_rag_app.cem.teachers.minilm import MiniLmEncoder

        _encoder = MiniLmEncoder(bfloat16=True, batch_size=16)
    else:
        _encoder = load_teacher(name)


def _encode(texts: list[str]) -> FloatArray:
    assert _encoder is not None
    return _encoder.encode_documents(texts)


if __name__ == "__main__":
    raise SystemExit(main())
