"""Write docs/cli.md and docs/settings.md from the commands and the settings themselves.

``python -m scripts.write_reference``
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from pydantic import BaseModel

from cem_rag_app.settings import Settings
from ui.cli import main as cem_rag

DOCS = Path(__file__).parents[1] / "docs"
WRITTEN = "<!-- Written by `python -m scripts.write_reference`; a test compares. -->"


def commands_reference() -> str:
    """Return docs/cli.md: every command with its help as the terminal prints it."""
    lines = ["# Commands", "", WRITTEN, "", "Every command also answers `--help`.", ""]
    for context in _contexts(cem_rag, None, "cem-rag"):
        depth = context.command_path.count(" ") + 2
        lines += [f"{'#' * min(depth, 3)} {context.command_path}", "", "```text", _help(context), "```", ""]
    return "\n".join(lines)


def settings_reference() -> str:
    """Return docs/settings.md: every setting with its variable, default, bounds and meaning."""
    lines = [
        "# Settings",
        "",
        WRITTEN,
        "",
        "A value comes from the command line where an option exists, then from the environment, then from `.env` in "
        "the working directory, then from the default.",
        "",
    ]
    sections = {name: field for name, field in Settings.model_fields.items() if _section(field.annotation)}
    lines += _table(Settings, [name for name in Settings.model_fields if name not in sections], "")
    for name, field in sections.items():
        section = _section(field.annotation)
        assert section is not None
        lines += ["", f"## {name}", "", (section.__doc__ or "").strip(), ""]
        lines += _table(section, list(section.model_fields), f"{name}__")
    return "\n".join(lines) + "\n"


def _contexts(command: click.Command, parent: click.Context | None, name: str) -> Iterator[click.Context]:
    """Give every command with the context it has when it is called."""
    context = command.make_context(name, [], parent=parent, resilient_parsing=True, terminal_width=100)
    yield context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from _contexts(found, context, below)


def _help(context: click.Context) -> str:
    return "\n".join(line.rstrip() for line in context.get_help().splitlines())


def _section(annotation: object) -> type[BaseModel] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _table(model: type[BaseModel], names: list[str], prefix: str) -> list[str]:
    rows = ["| variable | default | allowed | meaning |", "|---|---|---|---|"]
    for name in names:
        field = model.model_fields[name]
        default = field.get_default(call_default_factory=True)
        shown = "" if default is None else ", ".join(default) if isinstance(default, tuple) else str(default)
        rows.append(
            f"| `CEM_RAG_{prefix.upper()}{name.upper()}` | {f'`{shown}`' if shown else 'none'} | "
            f"{_allowed(model, name)} | {field.description or ''} |"
        )
    return rows


def _allowed(model: type[BaseModel], name: str) -> str:
    schema = model.model_json_schema()["properties"][name]
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return ", ".join(f"{sign} {schema[key]}" for key, sign in signs.items() if key in schema)


def main() -> None:
    """Write both files."""
    for name, text in (("cli.md", commands_reference()), ("settings.md", settings_reference())):
        (DOCS / name).write_text(text, encoding="utf-8")
        print(DOCS / name)


if __name__ == "__main__":
    main()
