"""What the subcommands share: options, settings, output, progress."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cem_rag_app.errors import SettingsError

if TYPE_CHECKING:
    from cem_rag_app.evaluation.report import Report
    from cem_rag_app.settings import Settings
    from ui.app import Services

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def memory_option(function: Decorated) -> Decorated:
    """Add ``--memory DIR``."""
    return click.option(
        "--memory",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Folder of the memory.  [default: ./memory, or CEM_RAG_MEMORY]",
    )(function)


def json_option(function: Decorated) -> Decorated:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")(function)


def settings_for(memory: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings, with what the command line says on top.

    Args:
        memory: The folder, None for the setting's own.
        overrides: Sections as mappings, or plain values; None leaves a value as it is.

    Raises:
        SettingsError: A value from the environment, ``.env`` or the command line is not allowed.
    """
    from pydantic import ValidationError

    from cem_rag_app.settings import Settings

    given = {name: value for name, value in {"memory": memory, **overrides}.items() if value is not None}
    try:
        settings = Settings()
        return settings.model_copy(
            update={name: _with(getattr(settings, name), value) for name, value in given.items()}
        )
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        variable = "CEM_RAG_" + place.replace(".", "__").upper()
        raise SettingsError(
            f"The setting {place} cannot be {problem['input']!r}: {problem['msg']}.",
            remedy=f"Change {variable} in the environment or in .env, or the option of that name.",
        ) from error


def _with(section: Any, given: Any) -> Any:
    """Put what was given on top of a section, checked again; a plain value replaces a plain value."""
    if not isinstance(given, dict):
        return given
    kept = {key: item for key, item in given.items() if item is not None}
    return type(section).model_validate({**section.model_dump(), **kept})


@contextmanager
def services_for(settings: Settings) -> Iterator[Services]:
    """Give the wired parts, and close them afterwards."""
    from ui.app import Services

    services = Services.from_settings(settings)
    try:
        yield services
    finally:
        services.close()


def emit(data: dict[str, Any], *, as_json: bool, lines: Callable[[], Iterator[str]]) -> None:
    """Print a result: as one JSON object, or as the lines a person reads."""
    if as_json:
        click.echo(json.dumps(data, ensure_ascii=False, indent=2, sort_keys=False, default=str))
        return
    for line in lines():
        click.echo(line)


def print_report(report: Report, *, as_json: bool, lines: Callable[[], Iterator[str]]) -> None:
    """Print an evaluation or a benchmark; its JSON has `metrics`, `settings`, `versions` and `machine`."""
    emit(report.model_dump(mode="json"), as_json=as_json, lines=lines)


def note(text: str) -> None:
    """Say something beside the result, on stderr."""
    click.echo(text, err=True)


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """Give a ``progress(stage, done, total)`` that draws a bar a stage on stderr; silent where that is no terminal."""
    from tqdm import tqdm

    bars: dict[str, tqdm[Any]] = {}

    def show(stage: str, done: int, total: int) -> None:
        if stage not in bars:
            for earlier in bars.values():
                earlier.close()
            bars[stage] = tqdm(desc=stage, total=total or None, unit="", disable=None, leave=True)
        bar = bars[stage]
        bar.total = total or None
        bar.update(done - bar.n)

    try:
        yield show
    finally:
        for bar in bars.values():
            bar.close()
