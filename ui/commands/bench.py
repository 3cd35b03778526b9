"""`bench`: measuring size and speed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

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
    from cem_rag_app.evaluation.benches import PARTS, weigh_memory

    settings = settings_for(memory)
    if corpus is not None:
        _packs(settings, corpus, count, levels, sizes, as_json=as_json)
        return
    with services_for(settings) as services:
        status = services.memory.status()
    report = weigh_memory(
        {part: status["bytes"][part] for part in ("plain_text", *PARTS)},
        {"memory": str(settings.memory), "counts": status["counts"], "dictionary": status["dictionary"]},
    )

    def lines() -> Iterator[str]:
        for part, size in report.metrics["bytes"].items():
            yield f"{part.replace('_', ' '):12}{size:>14,}  {human_bytes(size)}"
        yield f"{'ratio':12}{report.metrics['ratio']:>14.2f}  of the plain text"

    print_report(report, as_json=as_json, lines=lines)


def _packs(
    settings: Settings, corpus: Path, count: int, levels: tuple[int, ...], sizes: tuple[int, ...], *, as_json: bool
) -> None:
    """Pack the same chunks at every level with every dictionary size."""
    from cem_rag_app.evaluation.benches import bench_packs

    texts = _chunks(corpus, settings.pack.chunk_target, count)
    note(f"{len(texts):,} chunks ...")
    report = bench_packs(texts, levels, sizes)

    def lines() -> Iterator[str]:
        yield f"{'dictionary':>10} {'level':>6} {'text/pack':>10} {'ten chunks, ms':>15} {'MB/s':>7}"
        for point in report.metrics["points"]:
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
@click.option("--encoder", "--teacher", default="auto", show_default=True, help="Text encoder; auto goes by language.")
@json_option
def encode(corpus: Path, count: int, encoder: str, as_json: bool) -> None:
    """Count chunks a second: the text encoder on text, CEM on compressed bytes."""
    from cem_rag_app.cem.teachers.registry import choose_teacher
    from cem_rag_app.evaluation.benches import bench_encode
    from ui.app import encoder_pair, text_encoder

    settings = settings_for()
    texts = _chunks(corpus, settings.pack.chunk_target, count)
    name = choose_teacher(texts[:200]) if encoder == "auto" else encoder
    report = bench_encode(
        texts,
        teacher=text_encoder(settings, name),
        student=encoder_pair(settings, name).document,
        pack=settings.pack,
    )

    def lines() -> Iterator[str]:
        for system, speed in report.metrics["chunks_per_second"].items():
            yield f"{system:20}{speed:12,.1f} chunks/s"
        yield f"{'speedup':20}{report.metrics['speedup']:12,.1f} times"

    print_report(report, as_json=as_json, lines=lines)


def _chunks(corpus: Path, target: int, count: int) -> list[str]:
    """Cut the corpus into chunks as an import would; ``count`` at most, 0 for all."""
    from cem_rag_app.chunking import split_text
    from cem_rag_app.corpora.beir import read_documents

    chunks = (chunk for item in read_documents(corpus) for chunk in split_text(item.text, target))
    found = list(islice(chunks, count) if count else chunks)
    if not found:
        raise EmptyInputError("there is no text in it.", file=corpus, remedy="Give another corpus.")
    return found
