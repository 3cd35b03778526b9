"""`build` and `compact`: from imported text to a packed, embedded, indexed memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cem_rag_app.errors import SettingsError
from ui.commands.common import emit, json_option, memory_option, progress_bar, services_for, settings_for
from ui.strings import human_bytes

if TYPE_CHECKING:
    from cem_rag_app.settings import Settings

INDEX_KINDS = ("auto", "flat", "codes", "hnsw", "ivf", "ivfpq", "rabitq")


@click.command()
@click.option("--limit", default=0, show_default=True, type=click.IntRange(0), help="Chunks at most; 0 is all.")
@click.option("--batch-size", default=24, show_default=True, type=click.IntRange(1), help="Chunks embedded at once.")
@click.option("--encoder", metavar="NAME", help="Refuse to build unless the memory's text encoder is this one.")
@click.option("--index", type=click.Choice(INDEX_KINDS), help="Kind of vector index.  [default: auto, by size]")
@memory_option
@json_option
def build(
    limit: int, batch_size: int, encoder: str | None, index: str | None, memory: Path | None, as_json: bool
) -> None:
    """Compress, embed and index what is missing.

    May be interrupted at any time: the next build goes on where this one stopped.
    """
    settings = settings_for(memory, index=index)
    report = run_build(settings, limit=limit, batch_size=batch_size, encoder=encoder)

    def lines() -> Iterator[str]:
        packed = ", with a dictionary of its own" if report["own_dictionary"] else ""
        yield f"{report['chunks']:,} chunks: {report['packed']:,} packed{packed}, {report['embedded']:,} embedded."
        yield f"The {report['index']} index covers them ({report['seconds']:.1f} s)."

    emit(report, as_json=as_json, lines=lines)


def run_build(
    settings: Settings, *, limit: int = 0, batch_size: int = 24, encoder: str | None = None
) -> dict[str, Any]:
    """Build, with a bar on stderr; returns the report as plain values.

    Raises:
        SettingsError: ``encoder`` is not the one the memory was made for; a memory's vectors share one space.
    """
    with services_for(settings) as services, progress_bar() as progress:
        made_for = services.memory.profile.encoder
        if encoder not in (None, "auto", made_for):
            raise SettingsError(
                f"The memory {settings.memory} was made for the encoder {made_for!r}, not {encoder!r}.",
                remedy="Import into a new folder with --encoder.",
            )
        report = services.memory.build(limit=limit, batch_size=batch_size, index=settings.index, progress=progress)
    return dataclasses.asdict(report)


@click.command()
@memory_option
@json_option
def compact(memory: Path | None, as_json: bool) -> None:
    """Rewrite packs and index without what is no longer needed."""
    with services_for(settings_for(memory)) as services, progress_bar() as progress:
        before = services.memory.status()["bytes"]
        report = services.memory.compact(progress=progress)
        after = services.memory.status()["bytes"]
    emit(
        {**dataclasses.asdict(report), "bytes_before": before, "bytes_after": after},
        as_json=as_json,
        lines=lambda: iter((f"{human_bytes(before['total'])} before, {human_bytes(after['total'])} now.",)),
    )
