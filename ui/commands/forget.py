"""`forget`: take something out of a memory for good."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cem_rag_app.errors import InputError
from ui.commands.common import emit, json_option, memory_option, note, progress_bar, services_for, settings_for

if TYPE_CHECKING:
    from stores.memory import ForgetReport, Selection

STUDIO = Path(".langgraph_api")
"""Where LangGraph Studio keeps the threads of its graphs: in the folder that it was started in."""

_RANGE = re.compile(r"(\d{1,18})\.\.(\d{1,18})")


@click.command()
@click.option("--message", "messages", type=click.IntRange(1), multiple=True, metavar="ID", help="A message.")
@click.option("--messages", "ranges", multiple=True, metavar="FIRST..LAST", help="Messages in a row, by their ids.")
@click.option("--person", "people", multiple=True, metavar="NAME", help="All that a speaker said.")
@click.option("--item", "items", multiple=True, metavar="ID", help="A document.")
@click.option("--source", "sources", multiple=True, metavar="NAME", help="All that came from a source.")
@click.option("--all", "everything", is_flag=True, help="All messages and documents; the persona's rules stay.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@memory_option
@json_option
def forget(
    messages: tuple[int, ...],
    ranges: tuple[str, ...],
    people: tuple[str, ...],
    items: tuple[str, ...],
    sources: tuple[str, ...],
    everything: bool,
    yes: bool,
    memory: Path | None,
    as_json: bool,
) -> None:
    """Forget something for good.

    Removes every trace from the memory's folder: rows, frames, dictionary, index, search terms, marks, records of
    turns, graph checkpoints, and the database's free pages; and the threads that LangGraph Studio keeps in
    ./.langgraph_api. It cannot be undone. Options may be repeated and mixed. An interrupted one is finished when the
    memory is opened next.
    """
    from stores.memory import Selection

    selection = Selection(
        messages=(*((number, number) for number in messages), *map(_range, ranges)),
        people=people,
        items=items,
        sources=sources,
        everything=everything,
    )
    with services_for(settings_for(memory)) as services:
        found = services.memory.matching(selection)
        if not found.messages and not found.items:
            raise InputError("Nothing stored is meant by that.", remedy=_remedy(selection))
        if not yes:
            click.confirm(f"{_what(found)} will be forgotten for good. Go on?", abort=True, err=True)
        with progress_bar() as progress:
            report = services.memory.forget(selection, progress)
        folder = services.memory.path
    studio = STUDIO.is_dir()
    if studio:
        shutil.rmtree(STUDIO)
    data: dict[str, Any] = {**dataclasses.asdict(report), "studio_threads_removed": studio}
    emit(data, as_json=as_json, lines=lambda: _lines(report, studio))
    if report.elsewhere:
        note(f"Not looked into, because the memory did not write them: {', '.join(report.elsewhere)} in {folder}.")
    note("The files it was imported from are as they were: importing them again brings it back.")


def _range(given: str) -> tuple[int, int]:
    match = _RANGE.fullmatch(given)
    if match is None:
        raise InputError(f"{given!r} is no range of messages.", remedy="Write it like this: --messages 120..140")
    return int(match[1]), int(match[2])


def _remedy(selection: Selection) -> str:
    if selection.people:
        return "A person is named as in the history, letter by letter: cem-rag preview TEXT shows names."
    return "cem-rag preview TEXT --json shows the ids of messages and of documents."


def _what(report: ForgetReport) -> str:
    parts = ((report.messages, "message"), (report.items, "document"))
    return " and ".join(f"{count:,} {name}{'s' if count > 1 else ''}" for count, name in parts if count)


def _lines(report: ForgetReport, studio: bool) -> Iterator[str]:
    yield f"{_what(report)} forgotten."
    if report.moved_messages:
        yield f"{report.moved_messages:,} messages that shared a frame with them were compressed anew."
    if report.records or report.preferences:
        yield f"{report.records:,} records of turns and {report.preferences:,} preferences held some of it: gone."
    if report.checkpoints or studio:
        yield "The threads that graphs had kept are gone."
    if report.new_dictionary:
        yield "The dictionary had learned from it: everything is compressed with another one now."
