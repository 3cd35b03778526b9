"""The `cem-rag` command. It knows where each subcommand lives and imports none of them.

``cem-rag --help`` has to answer at once, so a subcommand's module is imported when that subcommand runs;
the line it shows in the overview stands in the table below (a test compares it with the command's own).
"""

from __future__ import annotations

import importlib
from typing import Any

import click

from cem_rag_app.errors import CemRagError

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("ui.commands.serve:demo", "Chat in the browser with the bundled example persona."),
    "import": ("ui.commands.import_:import_", "Take a chat history or a document collection into a memory."),
    "build": ("ui.commands.build:build", "Compress, embed and index what is missing."),
    "chat": ("ui.commands.talk:chat", "Talk to the persona in the terminal."),
    "ask": ("ui.commands.talk:ask", "Ask the documents a question; the answer cites its chunks."),
    "preview": ("ui.commands.inspect:preview", "Show what a text would recall, with scores."),
    "status": ("ui.commands.inspect:status", "Say what the memory holds and how large it is."),
    "check": ("ui.commands.inspect:check", "Verify every file of the memory."),
    "compact": ("ui.commands.build:compact", "Rewrite packs and index without what is no longer needed."),
    "forget": ("ui.commands.forget:forget", "Forget something for good."),
    "serve": ("ui.commands.serve:serve", "Serve the web chat and the HTTP API in one process."),
    "train": ("ui.commands.train:train", "Train a model on a corpus of your own."),
    "eval": ("ui.commands.evaluate:evaluate", "Measure quality on a collection."),
    "bench": ("ui.commands.bench:bench", "Measure size and speed."),
}
"""Name -> (where it lives, its line in the overview), in the order of the overview."""


class Failure(click.ClickException):
    """A `CemRagError` on its way to the user: one plain line on stderr, exit code 1."""

    def show(self, file: Any = None) -> None:
        """Write the line; a message of another library's may come in several."""
        lines = (line.strip() for line in self.format_message().splitlines())
        click.echo(f"cem-rag: {' '.join(line for line in lines if line)}", err=True, file=file)


class LazyGroup(click.Group):
    """A group whose subcommands are imported when they run, and whose errors are told plainly."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one subcommand."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview from the table, importing nothing."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; an error of ours becomes one line, Ctrl-C a silent exit with 130."""
        try:
            return super().invoke(ctx)
        except CemRagError as error:
            raise Failure(str(error)) from error
        except OSError as error:
            if error.filename is None:
                raise
            raise Failure(f"{error.filename}: {error.strerror}. Check the path and its permissions.") from error
        except KeyboardInterrupt:
            click.echo(err=True)
            ctx.exit(130)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="cem-rag", prog_name="cem-rag")
def main() -> None:
    """A memory that is stored compressed, searched compressed, and opened only where it is recalled.

    A first time: `cem-rag import FILE --as chat-jsonl --persona NAME`, then `cem-rag build`, then
    `cem-rag chat` or `cem-rag serve`. Settings come from CEM_RAG_... variables and `.env` (docs/settings.md).
    """


if __name__ == "__main__":
    main()
