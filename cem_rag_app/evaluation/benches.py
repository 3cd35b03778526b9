"""``cem-rag bench encode`` and ``cem-rag bench storage``: how fast chunks become vectors, and what a memory weighs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cem_rag_app.cem.pair import FrameEncoder
from cem_rag_app.errors import EmptyInputError, SettingsError
from cem_rag_app.evaluation.documents import pack_dictionary
from cem_rag_app.evaluation.report import Report
from cem_rag_app.settings import PackSettings

if TYPE_CHECKING:
    from cem_rag_app.cem.teachers.base import TextEncoder

ROUNDS = 3
LEVELS = (3, 12, 19)
DICTIONARY_SIZES = (0, 65_536, 112_640)
PARTS = ("packs", "index", "catalog", "lexical")


def bench_encode(
    texts: Sequence[str],
    *,
    teacher: TextEncoder | None = None,
    student: FrameEncoder | None = None,
    pack: PackSettings | None = None,
    teacher_chunks: int = 200,
    rounds: int = ROUNDS,
    clock: Callable[[], float] = time.perf_counter,
) -> Report:
    """Measure chunks a second, CEM and teacher in the same run on the same cores.

    Compression is not timed: frames are what a memory holds. Each encoder is warmed with one batch first, then the
    best of ``rounds`` counts, so that loading, compiling and a busy neighbour do not.

    Args:
        texts: chunks.
        teacher: the text encoder; None leaves it out.
        student: the compressed encoder; None leaves it out.
        pack: level and dictionary of the frames.
        teacher_chunks: how many chunks the slow teacher is given.
        rounds: repetitions.
        clock: seconds.

    Returns:
        ``metrics``: ``chunks_per_second`` by system (``cem-symbols``, ``cem-symbols-single``, ``teacher``,
        ``teacher-single``), and ``speedup``, CEM over teacher, batch by batch.
    """
    if not texts:
        raise EmptyInputError("There is no chunk to encode.", remedy="Give a corpus with text.")
    from cem_rag_app.zpkg.compress import Compressor

    speeds: dict[str, float] = {}
    settings: dict[str, Any] = {"chunks": len(texts), "rounds": rounds, "threads": _threads()}
    if student is not None:
        pack = pack or PackSettings()
        chunks = [text.encode() for text in texts]
        dictionary = pack_dictionary(chunks, texts, pack)
        compressor = Compressor(dictionary, pack.level)
        frames = [compressor.compress(chunk) for chunk in chunks]
        encode = student.encode
        speeds["cem-symbols"] = _speed(lambda some: encode(some, dictionary), frames, rounds, clock)
        single = frames[:teacher_chunks]
        speeds["cem-symbols-single"] = _speed(_one_by_one(lambda one: encode(one, dictionary)), single, rounds, clock)
        settings["cem"] = {
            "checkpoint": student.name,
            "level": pack.level,
            "dictionary_bytes": len(dictionary.data),
            "text_bytes": sum(map(len, chunks)),
            "frame_bytes": sum(map(len, frames)),
        }
    if teacher is not None:
        some = list(texts[:teacher_chunks])
        speeds["teacher"] = _speed(teacher.encode_documents, some, rounds, clock)
        speeds["teacher-single"] = _speed(_one_by_one(teacher.encode_documents), some[:50], rounds, clock)
        settings["teacher"] = {"name": teacher.name, "chunks": len(some)}
    metrics: dict[str, Any] = {"chunks_per_second": {name: round(speed, 1) for name, speed in speeds.items()}}
    if student is not None and teacher is not None:
        metrics["speedup"] = round(speeds["cem-symbols"] / speeds["teacher"], 1)
    return Report(metrics=metrics, settings=settings)


def weigh_memory(sizes: Mapping[str, int], settings: Mapping[str, Any]) -> Report:
    """Hold what a memory takes on disk against its plain text.

    Args:
        sizes: bytes of ``plain_text`` and of the parts ``packs``, ``index``, ``catalog`` and ``lexical``.
        settings: which memory it is, for the record.

    Returns:
        ``metrics``: ``bytes`` (``plain_text``, the parts, ``total``) and ``ratio`` = total / plain text.

    Raises:
        SettingsError: a part is missing or unknown.
        EmptyInputError: the memory is empty.
    """
    if set(sizes) != {"plain_text", *PARTS}:
        raise SettingsError(f"A memory's parts are plain_text, {', '.join(PARTS)}, not {', '.join(sorted(sizes))}.")
    if not sizes["plain_text"]:
        raise EmptyInputError("The memory holds no text to be weighed against.", remedy="Import something first.")
    total = sum(sizes[part] for part in PARTS)
    counted = {"plain_text": sizes["plain_text"], **{part: sizes[part] for part in PARTS}, "total": total}
    return Report(metrics={"bytes": counted, "ratio": round(total / sizes["plain_text"], 4)}, settings=dict(settings))


def bench_packs(
    texts: Sequence[str], levels: Sequence[int] = LEVELS, dictionary_sizes: Sequence[int] = DICTIONARY_SIZES
) -> Report:
    """Pack the same chunks at every level with every dictionary size.

    Returns:
        ``metrics``: ``points``, one :class:`~cem_rag_app.zpkg.measure.StoragePoint` for each level and size.

    Raises:
        EmptyInputError: there is no text.
    """
    from cem_rag_app.zpkg.measure import measure_storage

    chunks = [text.encode() for text in texts]
    if not any(chunks):
        raise EmptyInputError("There is no text to pack.", remedy="Give a corpus with text.")
    points = [asdict(point) for point in measure_storage(chunks, levels, dictionary_sizes)]
    return Report(metrics={"points": points}, settings={"chunks": len(chunks)})


def _speed(
    encode: Callable[[list[Any]], object], things: Sequence[Any], rounds: int, clock: Callable[[], float]
) -> float:
    """Return things a second, the best of several rounds."""
    given = list(things)
    encode(given[:32])
    best = float("inf")
    for _ in range(rounds):
        started = clock()
        encode(given)
        best = min(best, clock() - started)
    return len(given) / best


def _one_by_one(encode: Callable[[list[Any]], object]) -> Callable[[list[Any]], object]:
    return lambda things: [encode([thing]) for thing in things]


def _threads() -> str:
    return os.environ.get("OMP_NUM_THREADS", "default")
