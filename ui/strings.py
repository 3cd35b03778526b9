"""Every word on the page, Chinese first, with English beside it where a stranger needs it."""

from __future__ import annotations

from typing import Any

TITLE = "CEM-RAG"

MESSENGER = {
    "list": "聊天记录",
    "empty": "还没有消息，打个招呼吧。",
    "earlier": "更早的消息",
    "typing": "对方正在输入",
    "mark": "标记这条不错",
    "unmark": "取消标记",
    "copy": "复制",
}

DISCLOSURE = "这是根据聊天记录做的模拟，不是{persona}本人。 A simulation, not the person."
OFFLINE_VOICE = "离线声音：没有用语言模型，回复由记忆里的原话拼成。 Offline voice, no language model."

ME = "我"
INPUT = "说点什么…"

MEMORY = "记忆"
WHY = "为什么这么说"
WHY_EMPTY = "说一句话，这里会显示这次回复想起了哪些往事。"
HITS = {
    "semantic": "语义",
    "lexical": "词面",
    "recency": "时间",
    "retrieval": "合计",
    "around": "前后文",
    "no_hits": "没有想起什么。",
}

NOT_DONE = "这一步没有做成。"
FAILED = "这句话没有得到回复。"
RETRY = "重试"
DROP = "放弃"

NO_MEMORY = "这里还没有可以聊天的记忆。"
NO_MEMORY_HELP = """cem-rag import 聊天记录.jsonl --as chat-jsonl --persona 名字
cem-rag build
cem-rag serve"""
DOCUMENTS = "这份记忆里是文档，没有可以对话的人。请用命令行提问："
DOCUMENTS_HELP = 'cem-rag ask "…"'


def status_lines(status: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what the side bar says of a memory: a label and a value each."""
    counts, sizes = status["counts"], status["bytes"]
    return [
        ("消息", f"{counts['messages']:,}"),
        ("片段", f"{counts['chunks']:,}"),
        ("原文", human_bytes(sizes["plain_text"])),
        ("压缩后", human_bytes(sizes["packs"] + sizes["fresh_frames"])),
        ("向量", status["encoder"]),
    ]


def human_bytes(count: float) -> str:
    """Write a size: ``human_bytes(4608)`` is ``4.5 KiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError
