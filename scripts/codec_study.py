"""Measure quality against compression, point by point, and draw the frontier (docs/codec-study.md).

Usage::

    python -m scripts.codec_study --data DIR --corpus passages.txt --out DIR
        [--cache DIR] [--student DIR ...] [--view VIEW ...] [--no-probe] [--quick]

Every point is one line of ``DIR/points.jsonl``, written when it is done: a run that was stopped goes on where it was.
Scores and bytes are the same in every run, speeds are the machine's. At the end ``DIR/codec-study.svg`` is drawn and
``DIR/tables.md`` written.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from cem_rag_app.cem.pair import FrameEncoder
from cem_rag_app.errors import CemRagError, InputError, MalformedLineError, MissingDependencyError
from cem_rag_app.evaluation.codec_frames import Compression, grid, probe_grid
from cem_rag_app.evaluation.codec_study import PROBE, TEXT_PROBE, CodecStudy, StudyData
from cem_rag_app.evaluation.collections import Collection

TEACHER = "minilm-en"
COLLECTIONS = ("cranfield", "cisi")
PASSAGES, PROBE_PASSAGES, HELD_OUT = 340_000, 22_000, 2_000
QUICK_PASSAGES, QUICK_PROBE_PASSAGES, QUICK_HELD_OUT, QUICK_DOCUMENTS = 20_000, 3_000, 500, 300
"""What a first look reads; its figures are no results."""

Tell = Callable[[str], None]
Task = tuple[str, Compression]


def tasks(students: Sequence[str], *, probes: bool, quick: bool, only: Sequence[str] = ()) -> list[Task]:
    """Every view with every compression, views of one compression side by side, since they share its frames."""
    found = [(view, compression) for compression in grid(quick=quick) for view in students]
    if probes:
        found.append((TEXT_PROBE, Compression()))
        found += [(PROBE, compression) for compression in probe_grid(quick=quick)]
    return [task for task in found if not only or task[0] in only]


def run(study: CodecStudy, wanted: Sequence[Task], points: Path, tell: Tell) -> list[dict[str, Any]]:
    """Measure what is missing of the points, appending each to the file, and return them all in the grid's order.

    Raises:
        MalformedLineError: the file holds something else. A last line without its end, as a kill leaves it, is cut.
    """
    done = {_task(point): point for point in read_points(points)}
    for number, (view, compression) in enumerate(wanted, start=1):
        if (view, compression) in done:
            continue
        tell(f"{number} of {len(wanted)}: {view}, {compression}")
        try:
            point = study.measure(view, compression)
        except MissingDependencyError as error:
            tell(f"left out: {error}")
            continue
        with points.open("a", encoding="utf-8") as file:
            file.write(json.dumps(point) + "\n")
            file.flush()
            os.fsync(file.fileno())
        done[view, compression] = point
    return [done[task] for task in wanted if task in done]


def read_points(path: Path) -> list[dict[str, Any]]:
    """Read what an earlier run wrote, and cut a line that it did not finish.

    Raises:
        MalformedLineError: a whole line is no point.
    """
    if not path.exists():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        os.truncate(path, len(whole))
    points = []
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            point = json.loads(line)
            hash(_task(point))
        except (ValueError, KeyError, TypeError) as error:
            raise MalformedLineError("The line is no point of a study.", file=path, line=number) from error
        points.append(point)
    return points


def _task(point: Mapping[str, Any]) -> Task:
    fields = (field.name for field in dataclasses.fields(Compression))
    return point["view"], Compression(**{name: point[name] for name in fields})


def load_data(data: Path, corpus: Path, cache: Path, *, quick: bool, tell: Tell) -> StudyData:
    """Read collections, corpus and teacher.

    Raises:
        InputError: a file is missing, or the corpus is shorter than the study needs.
    """
    from cem_rag_app.cem.teacher_cache import TeacherCache
    from cem_rag_app.cem.teachers.registry import load_teacher
    from cem_rag_app.evaluation.collections import load_collection

    collections = [load_collection(name, data) for name in COLLECTIONS]
    if quick:
        collections = [first_documents(collection, QUICK_DOCUMENTS) for collection in collections]
    passages = list(islice(_passages(corpus), QUICK_PASSAGES if quick else PASSAGES))
    count = QUICK_PROBE_PASSAGES if quick else PROBE_PASSAGES
    if len(passages) < count:
        raise InputError(f"{len(passages)} passages are too few.", file=corpus, remedy=f"Give {count} or more.")
    teacher = load_teacher(TEACHER)
    tell(f"teacher vectors of {count:,} passages ...")
    vectors = TeacherCache(cache, teacher).encode(passages[:count])
    return StudyData(collections, [passage.encode() for passage in passages], vectors, teacher)


def first_documents(collection: Collection, count: int) -> Collection:
    """A smaller collection: the first documents, and the queries that one of them answers."""
    corpus = dict(islice(collection.corpus.items(), count))
    kept = {
        query: {document: grade for document, grade in grades.items() if document in corpus}
        for query, grades in collection.qrels.items()
    }
    qrels = {query: grades for query, grades in kept.items() if any(grade > 0 for grade in grades.values())}
    return Collection(collection.name, corpus, {query: collection.queries[query] for query in qrels}, qrels)


def _passages(corpus: Path) -> Iterator[str]:
    try:
        with corpus.open(encoding="utf-8") as file:
            for line in file:
                if line.strip():
                    yield line.rstrip("\n")
    except OSError as error:
        raise InputError(f"It cannot be read ({error.strerror}).", file=corpus, remedy="Name a text file.") from error


def load_views(paths: Sequence[str]) -> Mapping[str, FrameEncoder]:
    """The students that are measured: those named, else all that ship."""
    from cem_rag_app.evaluation.contenders import load_students

    return load_students(TEACHER, paths)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run or resume the study."""
    from scripts.codec_tables import tables

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with cranfield and cisi")
    parser.add_argument("--corpus", type=Path, required=True, help="training passages, one a line")
    parser.add_argument("--out", type=Path, required=True, help="folder of points, picture and tables")
    parser.add_argument("--cache", type=Path, help="teacher's vectors  [default: OUT/cache]")
    parser.add_argument(
        "--student", action="append", default=[], metavar="DIR", help="checkpoints instead of the shipped"
    )
    parser.add_argument("--no-probe", action="store_true", help="leave the probes out")
    parser.add_argument(
        "--view", action="append", default=[], help="measure this view alone; may be given several times"
    )
    parser.add_argument("--quick", action="store_true", help="a first look on small parts; its figures are no results")
    given = parser.parse_args(arguments)
    try:
        given.out.mkdir(parents=True, exist_ok=True)
        views = load_views(given.student)
        cache = given.cache or given.out / "cache"
        data = load_data(given.data, given.corpus, cache, quick=given.quick, tell=_tell)
        study = CodecStudy(data, views, held_out=QUICK_HELD_OUT if given.quick else HELD_OUT)
        claim(given.out / "study.json", identity(given, views))
        wanted = tasks(list(views), probes=not given.no_probe, quick=given.quick, only=given.view)
        points = run(study, wanted, given.out / "points.jsonl", _tell)
        (given.out / "tables.md").write_text(tables(points), encoding="utf-8")
        from scripts.codec_picture import draw

        draw(points, given.out / "codec-study.svg")
    except CemRagError as error:
        print(error, file=sys.stderr)
        return 1
    print(given.out / "tables.md")
    print(given.out / "codec-study.svg")
    return 0


def identity(given: argparse.Namespace, views: Mapping[str, FrameEncoder]) -> dict[str, Any]:
    """What points must have in common to stand in one file."""
    with given.corpus.open("rb") as file:
        head = hashlib.sha256(file.read(1 << 20)).hexdigest()[:16]
    return {
        "quick": given.quick,
        "corpus": [given.corpus.stat().st_size, head],
        "students": {view: [student.name, getattr(student, "fingerprint", "")] for view, student in views.items()},
    }


def claim(path: Path, study: dict[str, Any]) -> None:
    """Write down which study a folder belongs to.

    Raises:
        InputError: it belongs to another, whose points are no part of this one.
    """
    if not path.exists():
        path.write_text(json.dumps(study) + "\n", encoding="utf-8")
    if path.read_text(encoding="utf-8") != json.dumps(study) + "\n":
        raise InputError(
            "The folder has the points of another corpus, of other students or of a first look.",
            file=path,
            remedy="Name another --out, or delete this one.",
        )


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
