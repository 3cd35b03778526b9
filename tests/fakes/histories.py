"""A few days of a fictional conversation, for tests that need a person."""

from __future__ import annotations

from cem_rag_app.schema import Message

_DAY = 86_400.0
_START = 1_700_000_000.0

_LINES = (
    # (day, role, text)
    (0, "user", "早呀"),
    (0, "assistant", "早"),
    (0, "assistant", "困死了"),
    (0, "user", "昨晚几点睡的"),
    (0, "assistant", "两点多吧"),
    (0, "assistant", "追剧追的"),
    (1, "user", "今天好累啊"),
    (1, "assistant", "抱抱"),
    (1, "assistant", "早点睡嘛"),
    (2, "user", "你家猫叫什么来着"),
    (2, "assistant", "年糕呀"),
    (2, "assistant", "我上次发过照片的"),
    (3, "user", "我对芒果过敏的"),
    (3, "assistant", "啊？"),
    (3, "assistant", "那以后不买芒果了"),
    (4, "user", "周末去哪吃"),
    (4, "assistant", "火锅！"),
    (4, "assistant", "就上次那家"),
    (5, "user", "你知道他们几点关门吗"),
    (5, "assistant", "不知道诶"),
    (6, "user", "我到家啦"),
    (6, "assistant", "嗯嗯"),
    (6, "user", "晚安"),
    (6, "assistant", "晚安"),
    (7, "user", "我下班了"),
    (7, "assistant", "嗯嗯"),
    (7, "assistant", "路上慢点"),
    (8, "user", "晚安啦"),
    (8, "assistant", "晚安"),
    (8, "assistant", "好"),
    (9, "user", "那明天见"),
    (9, "assistant", "好"),
)


def short_history() -> list[Message]:
    """32 lines over ten days: a cat named 年糕, hotpot, a mango allergy, 嗯嗯 said twice."""
    return [
        Message(
            role=role,  # type: ignore[arg-type]
            speaker="小满" if role == "assistant" else "阿远",
            text=text,
            timestamp=_START + day * _DAY + number * 20,
            source="history",
            source_id=str(number),
        )
        for number, (day, role, text) in enumerate(_LINES)
    ]
