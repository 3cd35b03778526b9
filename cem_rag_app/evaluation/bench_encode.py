"""``cem-rag bench encode``: chunks a second, students and teacher in the same run on the same cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from cem_rag_app.cem.pair import FrameEncoder
from cem_rag_app.errors import CheckpointError, EmptyInputError
from cem_rag_app.evaluation.documents import pack_dictionary
from cem_rag_app.evaluation.report import Report, machine
from cem_rag_app.evaluation.timing import Speed, Stopwatch, count_moved_bytes, in_batches, one_by_one
from cem_rag_app.settings import PackSettings
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary

if TYPE_CHECKING:
    from cem_rag_app.cem.teachers.base import TextEncoder

TEACHER_CHUNKS = 200
TEACHER_SINGLE = 50
LENGTHS = (100, 200, 400, 800, 1600, 3200)
BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
GROWTH_TEXTS = 512
GROWTH_TEACHER_TEXTS = 32
_BLOCK = 256
_WARM = 32

Encode = Callable[[Sequence[bytes]], object]


@dataclass(frozen=True, eq=False)
class Compressed:
    """Chunks as a pack holds them."""

    chunks: list[bytes]
    dictionary: Dictionary
    level: int
    frames: list[bytes]

    @classmethod
    def of(cls, chunks: Sequence[bytes], dictionary: Dictionary, level: int) -> Compressed:
        """Compress chunks."""
        compressor = Compressor(dictionary, level)
        return cls(list(chunks), dictionary, level, [compressor.compress(chunk) for chunk in chunks])


class EncodeBench:
    """Chunks as frames and as text, and the figures that can be taken of them.

    Compression is not timed: frames are what a memory holds.

    Args:
        texts: chunks.
        students: compressed encoders by the name of their system, ``cem-symbols`` and the like; the first is the one
            that ``speedup`` is about.
        teachers: text encoders by name: ``teacher``, and ``teacher-bfloat16`` where the processor has such units.
        pack: level and dictionary of the frames.
        teacher_chunks: how many chunks a slow teacher is given.
        watch: rounds and clock.

    Raises:
        EmptyInputError: there is no chunk.
    """

    def __init__(
        self,
        texts: Sequence[str],
        *,
        students: Mapping[str, FrameEncoder] | None = None,
        teachers: Mapping[str, TextEncoder] | None = None,
        pack: PackSettings | None = None,
        teacher_chunks: int = TEACHER_CHUNKS,
        watch: Stopwatch | None = None,
    ) -> None:
        if not texts:
            raise EmptyInputError("There is no chunk to encode.", remedy="Give a corpus with text.")
        self._texts = list(texts)
        self._students = dict(students or {})
        self._teachers = dict(teachers or {})
        self._pack = pack or PackSettings()
        self._teacher_chunks = teacher_chunks
        self._watch = watch or Stopwatch()
        self._chunks = [text.encode() for text in self._texts]
        level = self._pack.level
        self._general = pack_dictionary((), self._texts, self._pack)
        self._packed = Compressed.of(self._chunks, pack_dictionary(self._chunks, self._texts, self._pack), level)
        self._given = {name: self._fit(student) for name, student in self._students.items()}

    def headline(self) -> dict[str, Any]:
        """Batch and single of every system: ``chunks_per_second``, its medians, and how much faster the students are.

        ``speedup`` is the first student against the teacher as it encodes queries (float32), ``speedups`` every
        student; ``speedup_bfloat16`` and ``speedups_bfloat16`` against the same teacher in bfloat16, where it ran.
        """
        speeds: dict[str, Speed] = {}
        for name, student in self._students.items():
            given = self._given[name]
            encode = _encode(student, given.dictionary)
            speeds[name] = self._watch.speed(encode, given.frames)
            speeds[f"{name}-single"] = self._watch.speed(one_by_one(encode), given.frames[: self._teacher_chunks])
        for name, teacher in self._teachers.items():
            some = self._texts[: self._teacher_chunks]
            speeds[name] = self._watch.speed(teacher.encode_documents, some)
            speeds[f"{name}-single"] = self._watch.speed(one_by_one(teacher.encode_documents), some[:TEACHER_SINGLE])
        found: dict[str, Any] = {
            "chunks_per_second": {name: round(speed.best, 1) for name, speed in speeds.items()},
            "chunks_per_second_median": {name: round(speed.median, 1) for name, speed in speeds.items()},
        }
        for teacher_name, suffix in (("teacher", ""), ("teacher-bfloat16", "_bfloat16")):
            if teacher_name in speeds and self._students:
                times = {name: round(speeds[name].best / speeds[teacher_name].best, 1) for name in self._students}
                found[f"speedup{suffix}"] = next(iter(times.values()))
                found[f"speedups{suffix}"] = times
        return found

    def threads(self) -> dict[str, Any]:
        """``threads``: each system's chunks a second with one thread and with one for each core, parts apart.

        ``parser`` is the entropy layer and the naming of spans alone, the same for every student; ``reading`` is all
        that comes before a student's model, the parser's work included; ``model`` is the rest.
        """
        from cem_rag_app.cem.students.base import StagedStudent
        from cem_rag_app.cem.symbols.survey import count_symbols

        counts = sorted({1, machine().cores})
        packed = self._packed
        parser = self._shared(lambda block: count_symbols(block, packed.dictionary), counts, _blocks(packed.frames))
        found: dict[str, Any] = {"parser": parser}
        for name, encoder in self._students.items():
            given = self._given[name]
            with_threads = getattr(encoder, "with_threads", None)
            parts: dict[str, Any] = {}
            if with_threads is not None:
                parts["whole"] = {}
                for count in counts:
                    speed = self._watch.speed(_encode(with_threads(count), given.dictionary), given.frames)
                    parts["whole"][str(count)] = round(speed.best, 1)
            student = getattr(encoder, "student", None)
            if isinstance(student, StagedStudent):
                parts |= self._halves(student, given, counts)
            if parts:
                found[name] = parts
        return {"threads": found}

    def by_length(self, lengths: Sequence[int] = LENGTHS) -> dict[str, Any]:
        """``by_length``: chunks a second of chunks of so many bytes, cut from the corpus without regard to sense."""
        return {"by_length": [self._of_length(size) for size in lengths]}

    def by_sequences(self) -> dict[str, Any]:
        """``by_sequences``: the same chunks as frames of few and of many sequences, by level and dictionary.

        A student that does not read frames of a dictionary is left out of the row.
        """
        from cem_rag_app.cem.symbols.survey import count_symbols

        dictionaries = {"none": Dictionary(b""), "general": self._general, "pack": self._packed.dictionary}
        rows = []
        for kind, dictionary in dictionaries.items():
            for level in (1, self._pack.level):
                given = Compressed.of(self._chunks[:GROWTH_TEXTS], dictionary, level)
                counts = count_symbols(given.frames, dictionary)
                speed = self._watch.speed(partial(count_symbols, dictionary=dictionary), given.frames)
                row: dict[str, Any] = {
                    "dictionary": kind,
                    "level": level,
                    "frame_bytes": _mean(given.frames),
                    "literals": round(float(counts.literals.mean()), 1),
                    "sequences": round(float(counts.sequences.mean()), 1),
                    "parser": round(speed.best, 1),
                }
                for name, student in self._students.items():
                    if _reads(student, given):
                        row[name] = round(self._watch.speed(_encode(student, dictionary), given.frames).best, 1)
                rows.append(row)
        return {"by_sequences": rows}

    def by_batch(self, sizes: Sequence[int]) -> dict[str, Any]:
        """``by_batch``: chunks a second and bytes that cross to the device and back a chunk, so many at a time."""
        rows = []
        for size in sizes:
            row: dict[str, Any] = {"batch": size}
            for name, student in self._students.items():
                with_threads = getattr(student, "with_threads", None)
                one = student if with_threads is None else with_threads(1)
                given = self._given[name]
                row[name] = self._batch(_encode(one, given.dictionary), _cycled(given.frames, size), size)
            for name, teacher in self._teachers.items():
                row[name] = self._batch(teacher.encode_documents, _cycled(self._texts, size), size)
            rows.append(row)
        return {"by_batch": rows}

    def report(self, *parts: Mapping[str, Any]) -> Report:
        """Put figures into one report, with all that is needed to take them again."""
        settings: dict[str, Any] = {
            "chunks": len(self._texts),
            "rounds": self._watch.rounds,
            "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        }
        if self._students:
            first = next(iter(self._students.values()))
            settings["cem"] = {
                "checkpoint": first.name,
                "checkpoints": {name: student.name for name, student in self._students.items()},
                "level": self._pack.level,
                "dictionary_bytes": len(self._packed.dictionary.data),
                "dictionaries": {name: len(given.dictionary.data) for name, given in self._given.items()},
                "levels": {name: given.level for name, given in self._given.items()},
                "text_bytes": sum(map(len, self._chunks)),
                "frame_bytes": sum(map(len, self._packed.frames)),
            }
        if self._teachers:
            chunks = min(len(self._texts), self._teacher_chunks)
            settings["teacher"] = {"name": next(iter(self._teachers.values())).name, "chunks": chunks}
        return Report(metrics={key: value for part in parts for key, value in part.items()}, settings=settings)

    def _fit(self, student: FrameEncoder) -> Compressed:
        """The frames a student is given: the pack's, else the first that it reads of the general dictionary's."""
        if _reads(student, self._packed):
            return self._packed
        general = Compressed.of(self._chunks, self._general, self._pack.level)
        if _reads(student, general):
            return general
        own = getattr(getattr(student, "student", None), "level", self._pack.level)
        return Compressed.of(self._chunks, self._general, own)

    def _halves(self, student: Any, given: Compressed, counts: Sequence[int]) -> dict[str, Any]:
        """``reading`` and ``model`` of a student, by the number of threads."""
        blocks = _blocks(given.frames)
        read = [student.read(block, given.dictionary) for block in blocks]
        return {
            "reading": self._shared(lambda block: student.read(block, given.dictionary), counts, blocks),
            "model": self._shared(student.embed, counts, read),
        }

    def _shared(self, work: Callable[[Any], object], counts: Sequence[int], blocks: list[Any]) -> dict[str, float]:
        """Chunks a second of work that so many threads share, block by block."""
        found = {}
        for count in counts:
            with ThreadPoolExecutor(count) as pool:
                speed = self._watch.speed(partial(_share_out, pool, work), blocks)
            found[str(count)] = round(speed.best * len(self._chunks) / len(blocks), 1)
        return found

    def _of_length(self, size: int) -> dict[str, Any]:
        chunks = cut_evenly(self._chunks, size, GROWTH_TEXTS)
        row: dict[str, Any] = {"bytes": size}
        for name, student in self._students.items():
            given = Compressed.of(chunks, self._given[name].dictionary, self._given[name].level)
            row.setdefault("frame_bytes", _mean(given.frames))
            row[name] = round(self._watch.speed(_encode(student, given.dictionary), given.frames).best, 1)
        texts = [chunk.decode(errors="replace") for chunk in chunks[:GROWTH_TEACHER_TEXTS]]
        for name, teacher in self._teachers.items():
            row[name] = round(self._watch.speed(teacher.encode_documents, texts).best, 1)
        return row

    def _batch(self, encode: Callable[[Any], object], things: Sequence[Any], size: int) -> dict[str, float]:
        with count_moved_bytes() as moved:
            encode(things[:size])
        speed = self._watch.speed(in_batches(encode, size), things)
        return {
            "chunks_per_second": round(speed.best, 1),
            "bytes_there": round(moved.there / len(things[:size]), 1),
            "bytes_back": round(moved.back / len(things[:size]), 1),
        }


def cut_evenly(chunks: Sequence[bytes], size: int, count: int) -> list[bytes]:
    """Cut chunks of exactly ``size`` bytes from all the text there is, from its beginning again where it ends."""
    whole = b" ".join(chunks) + b" "
    whole *= -(-size // len(whole)) + 1
    period = len(whole) - size
    return [whole[start : start + size] for start in (number * size % period for number in range(count))]


def _share_out(pool: ThreadPoolExecutor, work: Callable[[Any], object], blocks: Sequence[Any]) -> None:
    for _ in pool.map(work, blocks):
        pass


def _encode(student: FrameEncoder, dictionary: Dictionary) -> Encode:
    return lambda frames: student.encode(frames, dictionary)


def _reads(student: FrameEncoder, given: Compressed) -> bool:
    try:
        student.encode(given.frames[:_WARM], given.dictionary)
    except CheckpointError:
        return False
    return True


def _mean(frames: Sequence[bytes]) -> float:
    return round(sum(map(len, frames)) / len(frames), 1)


def _blocks(frames: list[bytes]) -> list[list[bytes]]:
    return [frames[start : start + _BLOCK] for start in range(0, len(frames), _BLOCK)]


def _cycled(things: list[Any], size: int) -> list[Any]:
    """So many things that several batches are timed where they are small, and one where they are large."""
    wanted = max(size, min(len(things), 64))
    return (things * (-(-wanted // len(things))))[:wanted]
