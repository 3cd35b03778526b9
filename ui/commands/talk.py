"""`chat` and `ask`: talking to a memory in the terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cem_rag_app.errors import ChatModelError, InputError
from ui.commands.common import emit, json_option, memory_option, note, services_for, settings_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphs.persona.chat import Turn

LEAVE = {"/quit", "/exit", "/q"}


@click.command()
@memory_option
@click.option("--model", help="Which voice speaks: offline, gemini, local:PATH or an init_chat_model string.")
@click.option("--conversation", default="default", show_default=True, help="Which conversation to carry on.")
def chat(memory: Path | None, model: str | None, conversation: str) -> None:
    """Talk to the persona in the terminal.

    Type a line and press Enter. /why explains the last reply, /good marks it, /quit (or Ctrl-D) leaves.
    """
    settings = settings_for(memory, chat={"model": model})
    with services_for(settings) as services:
        _ = services.chat  # a voice that cannot speak says so before anything is typed
        persona = services.memory.rules.persona if services.memory.rules else ""
        click.echo(f"这是根据聊天记录做的模拟，不是{persona}本人。 A simulation, not the person.")
        if settings.chat.model == "offline":
            click.echo("离线声音：没有用语言模型。 Offline voice, no language model.")
        click.echo("/why 为什么这么说  /good 标记不错  /quit 离开\n")
        last: Turn | None = None
        for line in _lines():
            if line in LEAVE:
                break
            if line == "/why":
                _explain(last)
            elif line == "/good" and last is not None:
                for bubble in last.bubbles:
                    services.memory.mark(bubble.message_id, True)
                click.echo("  已标记。 Marked.")
            elif line:
                try:
                    last = services.chat.reply(line, conversation=conversation)
                except (InputError, ChatModelError) as error:
                    if not sys.stdin.isatty():
                        raise  # a script stops where it went wrong
                    note(str(error))  # someone at the keyboard says it another way, or tries again
                    continue
                for bubble in last.bubbles:
                    click.echo(f"{persona}: {bubble.text}")


def _lines() -> Iterator[str]:
    """Give the lines typed, or piped in, until the end of input."""
    asks = sys.stdin.isatty()
    while True:
        try:
            if asks:
                yield input("我: ").strip()
            else:
                line = sys.stdin.readline()
                if not line:
                    return
                yield line.strip()
        except EOFError:
            click.echo()
            return


def _explain(turn: Turn | None) -> None:
    """Print what the last reply came from."""
    if turn is None:
        click.echo("  还没有回复。 No reply yet.")
        return
    record = turn.record
    click.echo(f"  {record.plan.intent} · {record.choice} · {record.reason}")
    for hit in record.hits[:3]:
        parts = f"语义 {hit.semantic_score:.2f} 词面 {hit.lexical_score:.2f} 时间 {hit.recency_score:.2f}"
        click.echo(f"  {hit.retrieval_score:.2f} ({parts})")
        texts = [line.text for line in hit.lines]
        start = texts.index(hit.anchor) if hit.anchor in texts else 0
        for line in hit.lines[start : start + 4]:
            click.echo(f"      {line.speaker}: {line.text}")


@click.command()
@click.argument("question")
@memory_option
@click.option(
    "--model", help="Who writes the answer: offline (quotes only), gemini, local:PATH or an init_chat_model string."
)
@json_option
def ask(question: str, memory: Path | None, model: str | None, as_json: bool) -> None:
    """Ask the documents a question; the answer cites its chunks."""
    from dataclasses import asdict

    settings = settings_for(memory, chat={"model": model})
    with services_for(settings) as services:
        answer = services.ask(question)
    data = {
        "question": question,
        "answer": answer.text,
        "citations": [asdict(citation) for citation in answer.citations],
        "opened": [asdict(chunk) for chunk in answer.opened],
        "offline": answer.offline,
    }

    def lines() -> Iterator[str]:
        yield answer.text
        others = tuple(chunk for chunk in answer.opened if chunk not in answer.citations)
        for heading, chunks in (("", answer.citations), ("Opened as well, not cited:", others)):
            if chunks:
                yield ""
            if chunks and heading:
                yield heading
            for chunk in chunks:
                yield f"[{chunk.number}] {chunk.item_id}  (score {chunk.score:.3f})"
                yield f"    {' '.join(chunk.text.split())}"

    if answer.offline and not as_json:
        note("offline: sentences of the documents, quoted; no language model was used")
    emit(data, as_json=as_json, lines=lines)
