"""`preview`, `status` and `check`: looking into a memory without changing it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cem_rag_app.errors import InputError
from ui.commands.common import emit, json_option, memory_option, services_for, settings_for
from ui.strings import human_bytes

if TYPE_CHECKING:
    from cem_rag_app.schema import Hit


@click.command()
@click.argument("text")
@click.option("-k", type=click.IntRange(1, 200), help="Hits.  [default: the setting recall.k]")
@memory_option
@json_option
def preview(text: str, k: int | None, memory: Path | None, as_json: bool) -> None:
    """Show what a text would recall, with scores."""
    from cem_rag_app.schema import Query

    if not text.strip():
        raise InputError("The text is empty.", remedy="Say what to recall for.")
    settings = settings_for(memory)
    with services_for(settings) as services:
        hits = services.memory.recall(Query(text=text, k=k or settings.recall.k))
    from ui.wire import HitOut, Preview

    data = Preview(query=text, hits=[HitOut.of(hit) for hit in hits]).model_dump()
    emit(data, as_json=as_json, lines=lambda: _hits(hits))


def _hits(hits: list[Hit]) -> Iterator[str]:
    if not hits:
        yield "Nothing is recalled. Is the memory built? cem-rag status"
    for number, hit in enumerate(hits, start=1):
        day = time.strftime("%Y-%m-%d", time.localtime(hit.timestamp)) if hit.timestamp else ""
        parts = f"semantic {hit.semantic_score:.2f}, lexical {hit.lexical_score:.2f}, recency {hit.recency_score:.2f}"
        yield f"{number}. {hit.retrieval_score:.3f}  ({parts})  {hit.item_id}  {day}".rstrip()
        if hit.segment:
            for line in hit.segment.messages:
                mark = ">" if line.message_id == hit.segment.anchor.message_id else " "
                yield f"   {mark} {line.speaker}: {line.text}"
        else:
            yield f"     {' '.join(hit.text.split())}"


@click.command()
@memory_option
@json_option
def status(memory: Path | None, as_json: bool) -> None:
    """Say what the memory holds and how large it is."""
    with services_for(settings_for(memory)) as services:
        data = services.memory.status()
    emit(data, as_json=as_json, lines=lambda: _plain(data))


def _plain(data: dict[str, Any], indent: str = "", *, sizes: bool = False) -> Iterator[str]:
    """Write nested figures as lines; what stands under ``bytes`` also as KiB or MiB."""
    for name, value in data.items():
        label = f"{indent}{name.replace('_', ' ')}:"
        if isinstance(value, dict):
            yield label
            yield from _plain(value, indent + "  ", sizes=name == "bytes")
        elif isinstance(value, bool) or not isinstance(value, int):
            yield f"{label} {value}"
        else:
            yield f"{label} {value:,}" + (f" ({human_bytes(value)})" if sizes else "")


@click.command()
@memory_option
@json_option
@click.pass_context
def check(ctx: click.Context, memory: Path | None, as_json: bool) -> None:
    """Verify every file of the memory.

    Reads everything and changes nothing; the exit code is 1 when something stored is damaged.
    """
    with services_for(settings_for(memory)) as services:
        report = services.memory.check()
    data = {"ok": report.ok, **dataclasses.asdict(report)}

    def lines() -> Iterator[str]:
        yield f"{report.chunks:,} chunks and {report.packs:,} packs read"
        for finding in report.findings:
            yield f"{finding.severity}: {finding.file}: {finding.problem} {finding.remedy}"
        if report.ok:
            yield "Everything stored is as it was written."

    emit(data, as_json=as_json, lines=lines)
    if not report.ok:
        ctx.exit(1)
