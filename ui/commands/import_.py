"""`import`: files of the owner's into a memory, which is created when there is none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from cem_rag_app.errors import EmptyInputError, InputError, MemoryExistsError, PersonaError
from ui.commands.common import emit, json_option, memory_option, note, progress_bar, settings_for

if TYPE_CHECKING:
    from cem_rag_app.persona.history import Columns, HistoryFormat
    from cem_rag_app.settings import Settings
    from stores.memory import Memory

VECTORS_FOLDER = Path("vectors")
"""Where a collection of vectors lies unless it is told."""

SAMPLE = 2_000
"""Texts looked at to tell the language."""


@click.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path, readable=False))
@click.option(
    "--as",
    "form",
    required=True,
    type=click.Choice(["chat-jsonl", "chat-csv", "beir", "hdf5"]),
    help="What the files are: a chat as JSON lines or CSV, a document collection (BEIR corpus.jsonl or its folder), "
    "or a folder of HDF5 vectors.",
)
@click.option("--persona", metavar="NAME", help="Whose voice the memory speaks in: a name of the speaker column.")
@click.option("--speaker-column", metavar="COLUMN", help="Column or key of the speaker.  [default: guessed]")
@click.option("--text-column", metavar="COLUMN", help="Column or key of the text.  [default: guessed]")
@click.option("--time-column", metavar="COLUMN", help="Column or key of the time, if there is one.  [default: guessed]")
@click.option(
    "--conversation-column", metavar="COLUMN", help="Column or key of the conversation, if any.  [default: guessed]"
)
@click.option("--encoder", metavar="NAME", help="Text encoder of a new memory.  [default: by language]")
@click.option(
    "--vectors",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of the collection that HDF5 vectors go to; made where there is none.  [default: ./vectors]",
)
@memory_option
@json_option
def import_(
    files: tuple[Path, ...],
    form: HistoryFormat | Literal["beir", "hdf5"],
    persona: str | None,
    speaker_column: str | None,
    text_column: str | None,
    time_column: str | None,
    conversation_column: str | None,
    encoder: str | None,
    vectors: Path | None,
    memory: Path | None,
    as_json: bool,
) -> None:
    """Take a chat history or a document collection into a memory.

    The memory is created when the folder has none. Importing the same file twice adds nothing twice. A file is checked
    whole before anything of it is taken. HDF5 vectors go to a collection of vectors instead; a file that does not fit
    is named with the reason, and the others are taken.
    """
    settings = settings_for(memory, encoder=encoder, vectors={"folder": vectors})
    if form == "hdf5":
        emit_vectors(import_vectors(settings, files), as_json=as_json)
        return
    if form == "beir":
        report = import_documents(settings, files)
    else:
        from cem_rag_app.persona.history import Columns

        columns = Columns(speaker=speaker_column, text=text_column, time=time_column, conversation=conversation_column)
        report = import_chat(settings, files, form, persona, columns)

    def lines() -> Iterator[str]:
        yield from report["notes"]
        yield f"{report['added']:,} added, {report['duplicates']:,} were there already."
        where = "" if memory is None else f" --memory {settings.memory}"
        then = "ask" if form == "beir" else "chat"
        yield f"Next: cem-rag build{where}, then cem-rag {then}{where}" + (' "..."' if then == "ask" else "")

    emit(report, as_json=as_json, lines=lines)


def import_chat(
    settings: Settings, files: Iterable[Path], form: HistoryFormat, persona: str | None, columns: Columns | None = None
) -> dict[str, Any]:
    """Import chat histories.

    Returns:
        ``added``, ``duplicates``, ``notes`` and a ``files`` list of what each file held.

    Raises:
        InputError: A file cannot be taken, or no persona is named; then the message lists who speaks.
        PersonaError: The memory speaks in another person's voice.
    """
    from cem_rag_app.persona.history import HistoryReport, read_history
    from ui.app import memory_exists

    report: dict[str, Any] = {"added": 0, "duplicates": 0, "notes": [], "files": []}
    for file in files:
        if persona is None:
            persona = _persona_of(settings) or _ask_for_persona(file, form, columns)
        history = HistoryReport()
        messages = read_history(file, format=form, persona=persona, columns=columns, report=history)
        if not memory_exists(settings):
            sample = (message.text for message in read_history(file, format=form, persona=persona, columns=columns))
            _create(settings, "chat", sample, persona)
        with _opened(settings, "chat", persona) as memory, progress_bar() as progress:
            result = memory.import_messages(messages, progress=progress)
        report["added"] += result.added
        report["duplicates"] += result.duplicates
        report["notes"] += [f"{file.name}: {line}" for line in history.summary()]
        report["files"].append({"file": str(file), **history.as_dict()})
    return report


def import_documents(settings: Settings, files: Iterable[Path]) -> dict[str, Any]:
    """Import document collections; the report is as in `import_chat`."""
    from cem_rag_app.corpora.beir import read_documents
    from ui.app import memory_exists

    report: dict[str, Any] = {"added": 0, "duplicates": 0, "notes": [], "files": []}
    for file in files:
        items = read_documents(file)
        if not memory_exists(settings):
            _create(settings, "documents", (item.text for item in read_documents(file)), None)
        with _opened(settings, "documents", None) as memory, progress_bar() as progress:
            result = memory.import_items(items, progress=progress)
        report["added"] += result.added
        report["duplicates"] += result.duplicates
        report["files"].append({"file": str(file)})
    return report


def import_vectors(settings: Settings, folders: Iterable[Path]) -> dict[str, Any]:
    """Import folders of HDF5 vectors.

    Returns:
        ``files``, ``inserted``, ``duplicates``, a ``refused`` list of files with reasons, and the ``collection``.

    Raises:
        InputError: There is no such folder.
    """
    from stores.vectors.importing import import_folder
    from ui.app import open_vectors

    if settings.vectors.folder is None:
        vectors = settings.vectors.model_copy(update={"folder": VECTORS_FOLDER})
        settings = settings.model_copy(update={"vectors": vectors})
    report: dict[str, Any] = {"files": 0, "inserted": 0, "duplicates": 0, "refused": []}
    collection = open_vectors(settings)
    try:
        for folder in folders:
            with progress_bar() as progress:
                done = import_folder(collection, folder, partial(progress, "import"))
            report["files"] += done.files
            report["inserted"] += done.inserted
            report["duplicates"] += done.duplicates
            report["refused"] += [{"file": refused.file_path, "reason": refused.reason} for refused in done.refused]
        if report["inserted"]:
            collection.save()
    finally:
        collection.close()
    return {**report, "collection": str(settings.vectors.folder)}


def emit_vectors(report: dict[str, Any], *, as_json: bool) -> None:
    """Print what became of the files."""

    def lines() -> Iterator[str]:
        for refused in report["refused"]:
            yield f"refused: {refused['file']}: {refused['reason']}"
        yield (
            f"{report['files']:,} files: {report['inserted']:,} added, {report['duplicates']:,} were there already, "
            f"{len(report['refused']):,} refused."
        )
        yield f"Next: cem-rag serve --vectors {report['collection']}, then POST /search"

    emit(report, as_json=as_json, lines=lines)


def _persona_of(settings: Settings) -> str | None:
    """Return whose voice an existing memory speaks in."""
    from ui.app import memory_exists, open_memory

    if not memory_exists(settings):
        return None
    memory = open_memory(settings)
    try:
        return memory.rules.persona if memory.rules else None
    finally:
        memory.close()


def _ask_for_persona(file: Path, form: HistoryFormat, columns: Columns | None) -> str:
    """Say who speaks in the file, so that the owner can name one."""
    from cem_rag_app.persona.history import HistoryReport, read_history

    history = HistoryReport()
    try:
        read_history(file, format=form, persona="", columns=columns, report=history)
    except EmptyInputError:
        if not history.speakers:
            raise
    named = ", ".join(f"{name} ({count})" for name, count in history.speakers.most_common(12))
    more = f" and {len(history.speakers) - 12} more" if len(history.speakers) > 12 else ""
    raise InputError(
        f"whose voice shall the memory speak in? Messages by speaker: {named}{more}.",
        file=file,
        remedy="Name one with --persona.",
    )


def _create(settings: Settings, kind: Literal["chat", "documents"], sample: Iterable[str], persona: str | None) -> None:
    """Create the memory; the language of a sample of the texts chooses encoder and first dictionary."""
    from cem_rag_app.cem.teachers.registry import EMBEDDED_ZH, choose_teacher
    from cem_rag_app.persona.rules import HardRules
    from stores.memory import Memory
    from stores.profile import MemoryProfile
    from ui.app import encoder_pair, text_encoder

    chosen = choose_teacher(list(islice(sample, SAMPLE)))
    encoder = chosen if settings.encoder == "auto" else settings.encoder
    text_encoder(settings, encoder)  # a name or a key that is missing is told before there is a memory
    profile = MemoryProfile(
        kind=kind,
        encoder=encoder,
        persona=None if persona is None else HardRules(persona=persona, **settings.rules.model_dump()),
        language="zh" if chosen == EMBEDDED_ZH else "en",
    )
    try:
        Memory.create(
            settings.memory, profile, encoders=lambda name: encoder_pair(settings, name), settings=settings
        ).close()
    except MemoryExistsError:
        return  # another import made it since we looked; it is opened next, as if it had been there
    note(f"New memory {settings.memory}: {kind}, encoder {encoder}" + (f", speaks as {persona}" if persona else ""))


@contextmanager
def _opened(settings: Settings, kind: Literal["chat", "documents"], persona: str | None) -> Iterator[Memory]:
    """Open the memory, refusing files of another kind or another person's history."""
    from ui.app import open_memory

    memory = open_memory(settings)
    try:
        holds = "chat" if memory.rules else "documents"
        if holds != kind:
            raise InputError(
                f"The memory {settings.memory} holds {holds}, not {kind}.", remedy="Name another folder with --memory."
            )
        if persona is not None and memory.rules and memory.rules.persona != persona:
            raise PersonaError(
                f"The memory {settings.memory} speaks as {memory.rules.persona!r}, not {persona!r}.",
                remedy="Name another folder with --memory for another person.",
            )
        yield memory
    finally:
        memory.close()
