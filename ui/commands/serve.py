"""`serve` and `demo`: the web chat and the HTTP API in one process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cem_rag_app.errors import InputError
from ui.commands.common import memory_option, note, settings_for

if TYPE_CHECKING:
    from cem_rag_app.settings import Settings

EXAMPLE = Path(__file__).parents[2] / "examples" / "history.zh.jsonl"
EXAMPLE_PERSONA = "林夏"


def _server_options(function: Any) -> Any:
    options = (
        click.option("--host", help="Address to listen on.  [default: 127.0.0.1, this machine alone]"),
        click.option("--port", type=click.IntRange(1, 65535), help="Port of page and API.  [default: 8501]"),
        click.option("--model", help="Which voice speaks: offline, gemini, local:PATH or an init_chat_model string."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.command()
@memory_option
@click.option(
    "--vectors",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of a vector collection to serve as well; made where there is none.",
)
@_server_options
def serve(memory: Path | None, vectors: Path | None, host: str | None, port: int | None, model: str | None) -> None:
    """Serve the web chat and the HTTP API in one process.

    The page is at /, the API below /api, its documentation at /api/docs, the vector service at /vectors and /search.
    Ctrl-C stops it.
    """
    server = {"host": host, "port": port}
    _serve(settings_for(memory, server=server, chat={"model": model}, vectors={"folder": vectors}))


@click.command()
@memory_option
@_server_options
def demo(memory: Path | None, host: str | None, port: int | None, model: str | None) -> None:
    """Chat in the browser with the bundled example persona.

    Builds the memory from examples/history.zh.jsonl (fiction written for this project) when the folder has none;
    a memory that is there is served as it is.
    """
    settings = settings_for(memory, server={"host": host, "port": port}, chat={"model": model})
    from ui.app import memory_exists
    from ui.serve import refuse_taken_port

    refuse_taken_port(settings.server)
    if not memory_exists(settings):
        build_example(settings)
    _serve(settings)


def build_example(settings: Settings) -> None:
    """Make a memory from the bundled history.

    Raises:
        InputError: The examples are not here, because this is no checkout.
    """
    from ui.commands.build import run_build
    from ui.commands.import_ import import_chat

    if not EXAMPLE.exists():
        raise InputError(
            "the bundled history is not here.",
            file=EXAMPLE,
            remedy="Run `cem-rag demo` in a checkout of the project, or import a history of your own.",
        )
    note(f"Building the memory {settings.memory} from {EXAMPLE.name} ...")
    import_chat(settings, [EXAMPLE], "chat-jsonl", EXAMPLE_PERSONA)
    run_build(settings)


def _serve(settings: Settings) -> None:
    from ui.addresses import LOOPBACK
    from ui.app import Services
    from ui.serve import serve

    server = settings.server
    shown = f"[{server.host}]" if ":" in server.host else server.host
    note(f"CEM-RAG: http://{shown}:{server.port}  (API: /api/docs)  Ctrl-C stops it.")
    if server.host not in LOOPBACK:
        if server.api_key is None:
            note("Everybody who can reach this address can read and write what is served: set CEM_RAG_SERVER__API_KEY.")
        else:
            note("The API asks for its key, but the page asks nobody: whoever reaches this address can chat.")
    serve(Services.from_settings(settings))
