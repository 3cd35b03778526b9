"""Which column or key holds what: named by the owner, or guessed from usual names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cem_rag_app.errors import ColumnError

_USUAL: dict[str, tuple[str, ...]] = {
    "speaker": (
        "speaker", "sender", "from", "author", "nickname", "name", "talker", "who", "user", "role", "sender_name",
        "from_name", "说话人", "发送者", "发送人", "发言人", "发件人", "昵称", "姓名", "名字", "角色", "人物",
    ),
    "text": (
        "text", "content", "message", "msg", "body", "utterance", "str_content", "内容", "消息", "消息内容", "文本",
        "正文", "聊天内容", "聊天记录", "话语",
    ),
    "time": (
        "time", "timestamp", "datetime", "date", "created_at", "sent_at", "create_time", "createtime", "str_time",
        "时间", "发送时间", "时间戳", "日期", "日期时间",
    ),
    "conversation": (
        "conversation", "conversation_id", "dialogue_id", "dialog_id", "dialogue", "chat_id", "chat", "session_id",
        "session", "thread_id", "thread", "room", "会话", "对话", "会话id", "对话id", "聊天", "群聊",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns (CSV) or keys (JSON lines). None: guess it from usual English and Chinese names.

    ``time`` and ``conversation`` may be absent from the file; a name given here must be in it. ``utc_offset_hours`` is
    the time zone of times that name none.
    """

    speaker: str | None = None
    text: str | None = None
    time: str | None = None
    conversation: str | None = None
    utc_offset_hours: float = 8.0


@dataclass(frozen=True, slots=True)
class Resolved:
    """The columns of one file, after guessing."""

    speaker: str
    text: str
    time: str | None
    conversation: str | None


def resolve(columns: Columns, present: Sequence[str], path: Path) -> Resolved:
    """Match what the owner named, and guess the rest.

    Args:
        columns: What the owner said.
        present: Columns or keys of the file, in their order.
        path: For the error.

    Raises:
        ColumnError: A named column is not there, or speaker or text can be neither found nor guessed; lists what is.
    """
    found: dict[str, str | None] = {}
    for part in ("speaker", "text", "time", "conversation"):
        named = getattr(columns, part)
        if named is not None and named not in present:
            raise ColumnError(
                f"there is no column {named!r} for the {part}. The file has: {_listed(present)}.",
                file=path,
                remedy=f"Name one of them with --{part}-column.",
            )
        taken = [column for column in found.values() if column]
        found[part] = named or _guess(part, [column for column in present if column not in taken])
    speaker, text = found["speaker"], found["text"]
    if speaker is None or text is None:
        missing = [part for part in ("speaker", "text") if found[part] is None]
        raise ColumnError(
            f"no column looks like the {' or the '.join(missing)}. The file has: {_listed(present)}.",
            file=path,
            remedy=f"Name it with {' and '.join(f'--{part}-column' for part in missing)}.",
        )
    return Resolved(speaker=speaker, text=text, time=found["time"], conversation=found["conversation"])


def _guess(part: str, present: Iterable[str]) -> str | None:
    """The most usual name that is present."""
    by_plain_name = {_plain(column): column for column in present}
    return next((by_plain_name[_plain(name)] for name in _USUAL[part] if _plain(name) in by_plain_name), None)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _listed(present: Sequence[str]) -> str:
    return ", ".join(present[:40]) + (", ..." if len(present) > 40 else "") if present else "no columns at all"
