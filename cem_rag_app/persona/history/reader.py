"""A history file -> messages of one person and those they talk to.

The file is read twice. The first pass checks every row and counts; only when the whole file is good does the second
pass give messages. An error therefore always comes before the first message, and a store that imports what this
iterator gives holds either the whole file or nothing of it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from cem_rag_app.errors import EmptyInputError, InputError, MalformedLineError
from cem_rag_app.persona.history.columns import Columns, Resolved, resolve
from cem_rag_app.persona.history.lines import LINE_LIMIT, too_long
from cem_rag_app.persona.history.report import HistoryReport
from cem_rag_app.persona.history.rows import Row, csv_columns, csv_rows, jsonl_columns, jsonl_rows
from cem_rag_app.persona.history.times import parse_time
from cem_rag_app.schema import Message

HistoryFormat = Literal["chat-jsonl", "chat-csv"]
FORMATS: tuple[HistoryFormat, ...] = get_args(HistoryFormat)

SYNTHETIC_START = 946_684_800.0
"""2000-01-01 UTC: where a history without times begins."""
SYNTHETIC_STEP = 60.0
"""Seconds between messages that have no times."""
SYNTHETIC_GAP = 86_400.0
"""Seconds between conversations that have no times."""

_Rows = Callable[[Path, "Counter[str]"], Iterator[Row]]


def read_history(
    path: str | Path,
    *,
    format: HistoryFormat,
    persona: str,
    columns: Columns | None = None,
    report: HistoryReport | None = None,
) -> Iterator[Message]:
    """Read a chat history.

    Messages come conversation by conversation, each in order of time (order in the file breaks ties), conversations by
    their first message. The persona's are ``assistant``, everybody else's ``user``. Conversations in which the persona
    says nothing are left out. ``source_id`` is a hash of conversation, time, speaker, text and how many times the same
    had come before, so that importing the same or a longer export again adds nothing twice.

    Args:
        path: The file.
        format: How it is written.
        persona: The person's name as it stands in the speaker column.
        columns: Which columns; None guesses all.
        report: Filled before this function returns.

    Returns:
        An iterator of messages without ids. The file has been checked whole by then.

    Raises:
        EmptyInputError: No usable row, or none by the persona; lists who speaks in the file.
        ColumnError: Columns named or needed are not there.
        MalformedLineError: A line breaks its format, or a time cannot be read.
        LineTooLongError: A line exceeds 1 MiB.
        EncodingError: A line is no text in a supported encoding.
        InputError: The file or the format is unknown, or the file changed while it was read.
    """
    path = Path(path)
    report = report if report is not None else HistoryReport()
    if format not in FORMATS:
        raise InputError(f"unknown history format {format!r}.", file=path, remedy=f"Use one of: {', '.join(FORMATS)}.")
    if path.is_dir():
        raise InputError("this is a folder, not a file.", file=path, remedy="Name the file in it.")
    if not path.is_file():
        raise InputError("there is no such file.", file=path, remedy="Check the path.")
    if path.stat().st_size == 0:
        raise EmptyInputError("the file is empty.", file=path, remedy="Export the chat again.")
    rows: _Rows = jsonl_rows if format == "chat-jsonl" else csv_rows
    columns = columns if columns is not None else Columns()
    before = _fingerprint(path)
    present = jsonl_columns(path) if format == "chat-jsonl" else csv_columns(path)
    if not present:
        raise EmptyInputError("there is no row in it.", file=path, remedy="Export the chat again.")
    resolved = resolve(columns, present, path)
    messages = _Messages(path, rows, resolved, persona.strip(), columns.utc_offset_hours)
    wanted, in_order = _check(messages, report)
    return _give(messages, wanted, in_order, before)


def _check(messages: _Messages, report: HistoryReport) -> tuple[frozenset[str], bool]:
    """First pass: every row read, nothing given. Returns the conversations to take and whether they are in order."""
    counts: Counter[str] = Counter()
    own: Counter[str] = Counter()
    last_conversation: str | None = None
    last_time = first_time = 0.0
    in_order = True
    for message in messages.read(report):
        conversation = message.conversation
        if conversation != last_conversation:
            in_order = in_order and conversation not in counts and message.timestamp >= first_time
            first_time = message.timestamp
        elif message.timestamp < last_time:
            in_order = False
        last_conversation, last_time = conversation, message.timestamp
        counts[conversation] += 1
        own[conversation] += message.role == "assistant"
    if not counts:
        raise EmptyInputError(
            "no row has both a speaker and a text.",
            file=messages.path,
            remedy="Check --speaker-column and --text-column.",
        )
    wanted = frozenset(name for name in counts if own[name])
    if not wanted:
        named = ", ".join(f"{name} ({count})" for name, count in report.speakers.most_common(10))
        raise EmptyInputError(
            f"{messages.persona!r} says nothing in it. Who speaks: {named}.",
            file=messages.path,
            remedy="Name one of them with --persona.",
        )
    report.taken = sum(counts[name] for name in wanted)
    report.persona_messages = own.total()
    report.conversations = len(wanted)
    left_out = counts.total() - report.taken
    if left_out:
        report.skipped[f"in a conversation without {messages.persona}"] += left_out
    report.reordered = not in_order
    report.synthetic_times = messages.columns.time is None
    return wanted, in_order


def _give(messages: _Messages, wanted: frozenset[str], in_order: bool, before: tuple[int, int]) -> Iterator[Message]:
    """Second pass. A file in order streams; one that is not is sorted in memory."""
    if _fingerprint(messages.path) != before:
        raise InputError("the file changed while it was read.", file=messages.path, remedy="Import it again.")
    taken = (message for message in messages.read(HistoryReport()) if message.conversation in wanted)
    if in_order:
        yield from taken
        return
    everything = list(taken)
    first: dict[str, float] = {}
    for message in everything:
        first[message.conversation] = min(message.timestamp, first.get(message.conversation, message.timestamp))
    everything.sort(key=lambda message: (first[message.conversation], message.conversation, message.timestamp))
    yield from everything


class _Messages:
    """Rows of one file as messages, readable as often as wanted."""

    def __init__(self, path: Path, rows: _Rows, columns: Resolved, persona: str, utc_offset_hours: float) -> None:
        self.path = path
        self.columns = columns
        self.persona = persona
        self._rows = rows
        self._utc_offset_hours = utc_offset_hours

    def read(self, report: HistoryReport) -> Iterator[Message]:
        """Every row with a speaker and a text, in the file's order."""
        seen: Counter[bytes] = Counter()
        clock = SYNTHETIC_START - SYNTHETIC_GAP
        last_conversation: str | None = None
        for number, row in self._rows(self.path, report.encodings):
            speaker = self._plain(row.get(self.columns.speaker), number, report).strip()
            text = self._plain(row.get(self.columns.text), number, report).strip()
            if not speaker or not text:
                report.skipped["no text" if speaker else "no speaker"] += 1
                continue
            if len(text) > LINE_LIMIT // 4 and len(text.encode()) > LINE_LIMIT:
                raise too_long(self.path, number)  # a line of GB18030 or UTF-16 grows on its way to UTF-8
            report.speakers[speaker] += 1
            conversation = "default"
            if self.columns.conversation is not None:
                conversation = self._plain(row.get(self.columns.conversation), number, report).strip() or "default"
            if self.columns.time is None:
                clock += SYNTHETIC_STEP if conversation == last_conversation else SYNTHETIC_GAP
                timestamp, written_time = clock, ""
            else:
                timestamp = self._time(row.get(self.columns.time), number)
                written_time = repr(timestamp)
            last_conversation = conversation
            message = Message(
                role="assistant" if speaker == self.persona else "user",
                speaker=speaker,
                text=text,
                timestamp=timestamp,
                conversation=conversation,
                source=self.path.name,
            )
            yield replace(message, source_id=_source_id(message, written_time, seen))

    def _time(self, value: object, number: int) -> float:
        try:
            return parse_time(value, self._utc_offset_hours)
        except ValueError as error:
            raise MalformedLineError(
                f"column {self.columns.time!r}: {error}.",
                file=self.path,
                line=number,
                remedy="Mend the time, or name another column with --time-column; nothing has been imported.",
            ) from error

    def _plain(self, value: Any, number: int, report: HistoryReport) -> str:
        """A value as text without control characters and half emoji; nested runs of text (Telegram) joined."""
        if value is None:
            return ""
        if isinstance(value, list):
            runs = [run.get("text") if isinstance(run, dict) else run for run in value]
            if not any(isinstance(run, list | dict) for run in runs):
                return "".join(self._plain(run, number, report) for run in runs)
        if isinstance(value, list | dict):
            raise MalformedLineError(
                "a speaker or text is a JSON object, or a list with more than text in it.",
                file=self.path,
                line=number,
                remedy="Name the keys that hold plain text; nothing has been imported.",
            )
        text = str(value)
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            report.repaired["half of an emoji"] += 1
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        kept = "".join(letter for letter in text if letter in "\n\t" or (letter >= " " and letter != "\x7f"))
        if kept != text:
            report.repaired["control characters"] += 1
        return kept


def _source_id(message: Message, written_time: str, seen: Counter[bytes]) -> str:
    """128 bits of SHA-256; without times the order among equal lines alone tells them apart."""
    parts = (message.conversation, written_time, message.speaker, message.text)
    key = hashlib.sha256("\x1f".join(parts).encode()).digest()[:16]
    ordinal = seen[key]
    seen[key] += 1
    return hashlib.sha256(key + ordinal.to_bytes(8, "big")).hexdigest()[:32]


def _fingerprint(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
