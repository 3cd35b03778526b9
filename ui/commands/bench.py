"""`bench`: measuring size and speed."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cem_rag_app.errors import EmptyInputError
from ui.commands.common import (
    json_option,
    memory_option,
    note,
    print_report,
    services_for,
    settings_for,
)
from ui.strings import human_bytes

if TYPE_CHECKING:
    from cem_rag_app.settings import Settings

PARTS = ("plain_text", "packs", "index", "catalog", "lexical", "total")


@click.group("bench")
def bench() -> None:
    """Measure size and speed."""


@bench.command()
@click.option(
    "--corpus",
    type=click.Path(exists=True, path_type=Path),
    help="Measure packs of this BEIR corpus instead, at every --level with every --dictionary-size.",
)
@click.option(
    "-n", "count", default=0, show_default=True, type=click.IntRange(0), help="Chunks of the corpus; 0 is all."
)
@click.option("--level", "levels", multiple=True, type=click.IntRange(1, 22), default=(3, 12, 19), show_default=True,
              help="zstd level, may be given several times; with --corpus.")  # fmt: skip
@click.option("--dictionary-size", "sizes", multiple=True, type=click.IntRange(0), default=(0, 65_536, 112_640),
              show_default=True, help="Bytes, 0 for none, may be given several times; with --corpus.")  # fmt: skip
@memory_option
@json_option
def storage(
    corpus: Path | None,
    count: int,
    levels: tuple[int, ...],
    sizes: tuple[int, ...],
    memory: Path | None,
    as_json: bool,
) -> None:
    """Say what a memory costs on disk, beside its plain text."""
    from cem_rag_app.evaluation.report import Report

    settings = settings_for(memory)
    if corpus is not None:
        _packs(settings, corpus, count, levels, sizes, as_json=as_json)
        return
    with services_for(settings) as services:
        status = services.memory.status()
    sizes_by_part = {part: status["bytes"][part] for part in PARTS}
    plain, total = sizes_by_part["plain_text"], sizes_by_part["total"]
    ratio = total / plain if plain else 0.0
    report = Report(
        metrics={"bytes": sizes_by_part, "ratio": ratio, "fresh_frames": status["bytes"]["fresh_frames"]},
        settings={"memory": str(settings.memory), "counts": status["counts"], "dictionary": status["dictionary"]},
    )

    def lines() -> Iterator[str]:
        for part, size in sizes_by_part.items():
            yield f"{part.replace('_', ' '):12}{size:>14,}  {human_bytes(size)}"
        yield f"{'ratio':12}{ratio:>14.2f}  of the plain text"

    print_report(report, as_json=as_json, lines=lines)


def _packs(
    settings: Settings, corpus: Path, count: int, levels: tuple[int, ...], sizes: tuple[int, ...], *, as_json: bool
) -> None:
    """Pack the same chunks at every level with every dictionary size."""
    from cem_rag_app.evaluation.report import Report
    from cem_rag_app.zpkg.measure import measure_storage

    texts = [chunk.encode() for chunk in _chunks(corpus, settings.pack.chunk_target, count)]
    note(f"{len(texts):,} chunks, {sum(map(len, texts)) / len(texts):.0f} bytes each ...")
    points = [dataclasses.asdict(point) for point in measure_storage(texts, levels, sizes)]
    report = Report(
        metrics={"points": points}, settings={"corpus": str(corpus), "chunk_target": settings.pack.chunk_target}
    )

    def lines() -> Iterator[str]:
        yield f"{'dictionary':>10} {'level':>6} {'text/pack':>10} {'ten chunks, ms':>15} {'MB/s':>7}"
        for point in points:
            yield (
                f"{point['dictionary_size']:10,} {point['level']:6} {point['ratio']:10.2f} "
                f"{point['access_ms']:15.3f} {point['compress_mb_per_second']:7.1f}"
            )

    print_report(report, as_json=as_json, lines=lines)


@bench.command()
@click.option(
    "--corpus",
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="BEIR corpus whose chunks are encoded: corpus.jsonl or the folder it lies in.",
)
@click.option("-n", "count", default=1_000, show_default=True, type=click.IntRange(1), help="Chunks at most.")
@click.option("--batch-size", default=24, show_default=True, type=click.IntRange(1), help="Chunks encoded at once.")
@click.option("--encoder", "--teacher", default="auto", show_default=True, help="Text encoder; auto goes by language.")
@json_option
def encode(corpus: Path, count: int, batch_size: int, encoder: str, as_json: bool) -> None:
    """Count chunks a second: the text encoder on text, CEM on compressed bytes."""
    from cem_rag_app.cem.teachers.registry import EMBEDDED_ZH, choose_teacher
    from cem_rag_app.evaluation.report import Report
    from cem_rag_app.zpkg.compress import Compressor
    from cem_rag_app.zpkg.dictionary import general_dictionary
    from ui.app import encoder_pair, text_encoder

    settings = settings_for()
    texts = _chunks(corpus, settings.pack.chunk_target, count)
    chosen = choose_teacher(texts[:200])
    name = chosen if encoder == "auto" else encoder
    teacher, student = text_encoder(settings, name), encoder_pair(settings, name).document
    dictionary = general_dictionary("zh" if chosen == EMBEDDED_ZH else "en")
    compressor = Compressor(dictionary, settings.pack.level)
    frames = [compressor.compress(text.encode()) for text in texts]
    speeds = {
        "teacher": _per_second(lambda batch: teacher.encode_documents(texts[batch]), len(texts), batch_size),
        "cem-symbols": _per_second(lambda batch: student.encode(frames[batch], dictionary), len(texts), batch_size),
    }
    report = Report(
        metrics={"chunks_per_second": speeds},
        settings={
            "corpus": str(corpus),
            "chunks": len(texts),
            "batch_size": batch_size,
            "encoder": name,
            "checkpoint": student.name,
        },
    )
    print_report(
        report,
        as_json=as_json,
        lines=lambda: (f"{system:14}{speed:12,.1f} chunks/s" for system, speed in speeds.items()),
    )


def _chunks(corpus: Path, target: int, count: int) -> list[str]:
    """Cut the corpus into chunks as an import would; ``count`` at most, 0 for all."""
    from cem_rag_app.chunking import split_text
    from cem_rag_app.corpora.beir import read_documents

    chunks = (chunk for item in read_documents(corpus) for chunk in split_text(item.text, target))
    found = list(islice(chunks, count) if count else chunks)
    if not found:
        raise EmptyInputError("there is no text in it.", file=corpus, remedy="Give another corpus.")
    return found


def _per_second(work: Callable[[slice], Any], count: int, batch_size: int) -> float:
    """Time the batches; the first has run before, so that loading and compiling do not count."""
    work(slice(0, batch_size))
    began = time.perf_counter()
    for start in range(0, count, batch_size):
        work(slice(start, start + batch_size))
    return count / (time.perf_counter() - began)
