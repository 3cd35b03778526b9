"""`bench`: measuring size and speed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cem_rag_app.errors import EmptyInputError
from ui.commands.bench_durability import durability
from ui.commands.bench_peers import compare_storage, peers_options, search
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


bench.add_command(search)
bench.add_command(durability)


@bench.command()
@click.option(
    "--corpus",
    type=click.Path(exists=True, path_type=Path),
    help="Measure packs of this BEIR corpus instead, at every --level with every --dictionary-size; "
    "with --peers, store it in each of them.",
)
@click.option(
    "-n", "count", default=0, show_default=True, type=click.IntRange(0), help="Chunks of the corpus; 0 is all."
)
@click.option("--level", "levels", multiple=True, type=click.IntRange(1, 22), default=(3, 12, 19), show_default=True,
              help="zstd level, may be given several times; with --corpus.")  # fmt: skip
@click.option("--dictionary-size", "sizes", multiple=True, type=click.IntRange(0), default=(0, 65_536, 112_640),
              show_default=True, help="Bytes, 0 for none, may be given several times; with --corpus.")  # fmt: skip
@peers_options
@memory_option
@json_option
def storage(
    corpus: Path | None,
    count: int,
    levels: tuple[int, ...],
    sizes: tuple[int, ...],
    memory: Path | None,
    as_json: bool,
    **comparison: Any,
) -> None:
    """Say what a memory costs on disk, beside its plain text."""
    from cem_rag_app.evaluation.benches import PARTS, weigh_memory

    if comparison["peers"]:
        compare_storage(corpus, count or 100_000, comparison, as_json=as_json)
        return
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
@click.option(
    "--student",
    "students",
    multiple=True,
    metavar="DIR",
    help="Checkpoint, a folder or a shipped name; may be given several times.  [default: all that ship]",
)
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="Of which the best counts.")
@click.option("--brief", is_flag=True, help="Only whole batches and single chunks; no parts, threads and growth.")
@click.option("--device", help="torch device of text encoder and students.  [default: cpu, or CEM_RAG_DEVICE]")
@click.option(
    "--batch",
    "batches",
    multiple=True,
    type=click.IntRange(1, 65_536),
    help="Time batches of this size and count the bytes that cross to the device; may be given several times.  "
    "[default: none on cpu, else 1, 4, 16 ... 4096]",
)
@json_option
def encode(
    corpus: Path,
    count: int,
    encoder: str,
    students: tuple[str, ...],
    rounds: int,
    brief: bool,
    device: str | None,
    batches: tuple[int, ...],
    as_json: bool,
) -> None:
    """Count chunks a second: the text encoder on text, CEM on compressed bytes."""
    from cem_rag_app.cem.teachers.registry import choose_teacher
    from cem_rag_app.evaluation.bench_encode import BATCHES, EncodeBench
    from cem_rag_app.evaluation.contenders import load_students, with_bfloat16
    from cem_rag_app.evaluation.timing import Stopwatch
    from ui.app import text_encoder

    settings = settings_for(device=device)
    texts = _chunks(corpus, settings.pack.chunk_target, count)
    name = choose_teacher(texts[:200]) if encoder == "auto" else encoder
    sizes = batches or (() if settings.device == "cpu" else BATCHES)
    measured = EncodeBench(
        texts,
        students=load_students(name, students, device=settings.device),
        teachers=with_bfloat16(text_encoder(settings, name), device=settings.device),
        pack=settings.pack,
        watch=Stopwatch(rounds),
    )
    parts = [measured.headline]
    if not brief:
        parts += [measured.threads, measured.by_length, measured.by_sequences]
    if sizes:
        parts.append(lambda: measured.by_batch(sizes))
    found = []
    for number, part in enumerate(parts, start=1):
        note(f"{len(texts):,} chunks, part {number} of {len(parts)} ...")
        found.append(part())
    report = measured.report(*found)
    print_report(report, as_json=as_json, lines=lambda: _encode_lines(report.metrics))


def _encode_lines(metrics: dict[str, Any]) -> Iterator[str]:
    """The tables a person reads."""
    yield f"{'chunks a second':28}{'best':>12}{'median':>12}"
    for system, speed in metrics["chunks_per_second"].items():
        yield f"{system:28}{speed:12,.1f}{metrics['chunks_per_second_median'][system]:12,.1f}"
    for suffix, against in (("", "teacher"), ("_bfloat16", "teacher in bfloat16")):
        for system, times in metrics.get(f"speedups{suffix}", {}).items():
            yield f"{system:28}{times:12,.1f} times the {against}"
    if "threads" in metrics:
        yield f"\n{'chunks a second, by threads':28}" + "".join(f"{n:>12}" for n in metrics["threads"]["parser"])
        for system, parts in metrics["threads"].items():
            rows = {system: parts} if system == "parser" else {f"{system}, {part}": parts[part] for part in parts}
            for label, speeds in rows.items():
                yield f"{label:28}" + "".join(f"{speed:12,.0f}" for speed in speeds.values())
    for key, label in (("by_length", "by length"), ("by_sequences", "by sequences"), ("by_batch", "by batch")):
        if key in metrics:
            yield f"\nchunks a second, {label}"
            for row in metrics[key]:
                yield "  ".join(f"{name} {_figure(value)}" for name, value in row.items())


def _figure(value: Any) -> str:
    if isinstance(value, dict):
        return (
            f"{value['chunks_per_second']:,.0f} ({value['bytes_there']:,.0f} B there, {value['bytes_back']:,.0f} back)"
        )
    return f"{value:,.0f}" if isinstance(value, float) else str(value)


def _chunks(corpus: Path, target: int, count: int) -> list[str]:
    """Cut the corpus into chunks as an import would; ``count`` at most, 0 for all."""
    from cem_rag_app.chunking import split_text
    from cem_rag_app.corpora.beir import read_documents

    chunks = (chunk for item in read_documents(corpus) for chunk in split_text(item.text, target))
    found = list(islice(chunks, count) if count else chunks)
    if not found:
        raise EmptyInputError("there is no text in it.", file=corpus, remedy="Give another corpus.")
    return found
