"""What a message wants, told by rules: enough for the offline planner to choose a tone and a length."""

from __future__ import annotations

import re
from typing import Literal

Intent = Literal[
    "greeting",
    "farewell",
    "thanks",
    "apology",
    "laugh",
    "question_fact",
    "question_feeling",
    "request",
    "tease",
    "affection",
    "mood",
    "statement",
]

_END = r"[\s!！。.~～…?？，,啊呀呢啦哦噢哈嘛吖的了呐宝贝]*"
_WHOLE: tuple[tuple[Intent, re.Pattern[str]], ...] = (
    (
        "greeting",
        re.compile(
            rf"^(?:早+|早安|早上好|中午好|午安|下午好|晚上好|你好|您好|哈喽|哈啰|嗨|嘿(?!嘿)|喂|hello|hi+|hey|good\s?morning|"
            rf"在吗|在不在|在么|在不|醒了吗|醒了没|起床了吗|起床没|起来了吗|\S{{0,4}}快乐|新年好|恭喜发财|\s)+{_END}$"
        ),
    ),
    (
        "farewell",
        re.compile(
            rf"^.{{0,12}}(?:晚安|拜拜|再见|bye|goodnight|good\s?night|see\s?(?:you|u|ya)(?:\s\w+)?|明天见|回头见|回聊|睡了|去睡|先睡|睡觉了|我走了|先撤|先下了|88){_END}$"
        ),
    ),
    ("laugh", re.compile(r"^(?:(?:哈|嘿|嘻|呵|噗|h{2,}|ha|lol|嗯|哦|噢|喔|唔|额|呃|6|\[[^\[\]]+\])[\s~～。!！.…]*)+$")),
)
_THANKS = re.compile(r"谢谢|多谢|感谢|谢啦|谢了|thank|thx")
_APOLOGY = re.compile(r"对不起|抱歉|我错了|不好意思|别生气|原谅|sorry|my bad")
_FEELING = re.compile(
    r"(?:想|爱|喜欢|在乎|讨厌|嫌)(?:不想|不爱|不喜欢)?我|心情|难过|开心吗|开不开心|高兴吗|生气了?吗|生气了?没|生我气|累不累|"
    r"累吗|累了吗|还?生气吗|还气吗|怎么了|还好吗|没事吧|委屈|难受吗|感觉(?:如何|怎么样|好点)|好点[了没吗]|疼吗|疼不疼|什么感觉|"
    r"how (?:are|do) you feel|how are you|are you (?:ok|sad|angry|happy)|miss me|love me"
)
_QUESTION = re.compile(
    r"什么|啥|干嘛|哪|谁|几[点个号岁月天次只时页楼层样本条块斤集章种位口年]|多少|多[久大远高长重贵]|怎么|为什么|为啥|咋|"
    r"what|where|when|who|which|how|why"
)
_YES_NO = re.compile(
    r"(?:吗|(?<![什怎这那])么|不|没)[\s~～。.]*[?？]?$|(.)[不没]\1|是不是|有没有|会不会|能不能|要不要|[?？]|^(?:is|are|do|does|did|can|will|have|has)\b"
)
_STATED = re.compile(
    r"^没有|没什么|没啥|什么都|什么也|谁都|哪都|怎么都|怎么这[么样]|不知道.*(?:什么|怎么|哪|谁)|多少[有都]|几[个天]+(?:就|都)"
)
_REQUEST = re.compile(
    r"^(?:快|帮|给我|陪我|请|别|不许|不要|来|去)|帮我|替我|给我|陪我|教我|提醒我|记得|告诉我|能不能.*我|可以.*(?:吗|不)[?？]?$|"
    r"please|can you|could you|help me|(?:tell|sing|write|show|give) me|let's|咱们?.*吧[~～!！。]*$|一起.*吧"
)
_TEASE = re.compile(
    r"笨蛋|傻瓜|傻不傻|[是像]猪|懒虫|懒死|胖了|又迟到|吹牛|不要脸|自恋|臭美|逗你|骗你的|略略|哼|你才|就你|打你|揍你|"
    r"idiot|silly|lazy"
)
_AFFECTION = re.compile(r"想你|爱你|喜欢你|抱抱|亲亲|亲一|mua|么么|想死你|miss you|love you|抱一下|宝贝[~～]*$")
_MOOD = re.compile(
    r"累|烦|丧|困|无聊|睡不着|失眠|难过|难受|想哭|哭了|委屈|生气|气死|郁闷|害怕|怕|紧张|心慌|压力|孤单|疼|感冒|发烧|不舒服|"
    r"开心|高兴|太好了|成功|恭喜|羡慕|tired|sad|angry|happy|bored|upset|sick|terrible|awful|stressed|lonely|depressed"
)


def classify(text: str) -> Intent:
    """Tell what a Chinese or English chat message wants.

    The first rule that fits decides: whole-line formulas, then questions about feelings, requests, questions of fact,
    then thanks, apology, affection, tease, a mood told; everything else is a statement.

    Args:
        text: One message, or several joined by line ends; the last line that asks something decides.
    """
    lines = [line.strip().casefold() for line in text.splitlines() if line.strip()]
    kinds = [_classify_line(line) for line in lines]
    if not kinds:
        return "laugh"
    for wanted in ("question_fact", "question_feeling", "request"):
        if wanted in kinds:
            return next(kind for kind in reversed(kinds) if kind in ("question_fact", "question_feeling", "request"))
    return next((kind for kind in reversed(kinds) if kind not in ("statement", "laugh")), kinds[-1])


def is_question(intent: Intent) -> bool:
    """Whether an intent waits for an answer."""
    return intent in ("question_fact", "question_feeling")


def _classify_line(line: str) -> Intent:
    for intent, pattern in _WHOLE:
        if pattern.search(line):
            return intent
    if _THANKS.match(line) and not re.search(r"[?？]|吗\W*$", line):
        return "thanks"
    asks = bool(_QUESTION.search(line) or _YES_NO.search(line))
    if asks and _FEELING.search(line):
        return "question_feeling"
    if _REQUEST.search(line) and not re.search(r"什么|啥|哪|谁|几|多少|吃[了过]吗|[?？]$", line):
        return "request"
    if asks and _is_asked(line):
        return "question_fact"
    for intent, pattern in (
        ("thanks", _THANKS),
        ("apology", _APOLOGY),
        ("affection", _AFFECTION),
        ("tease", _TEASE),
        ("mood", _MOOD),
    ):
        if pattern.search(line):
            return intent
    return "statement"


def _is_asked(line: str) -> bool:
    """Whether question words ask: 什么都好, 怎么这样 and 没什么 state."""
    if re.search(r"[?？]\s*$|(?:吗|呢|(?<![什怎这那])么)\W*你?$|(?<!还)没\W*$|[好行要在]不\W*$", line):
        return True
    if _STATED.search(line):
        return False
    return bool(_QUESTION.search(line) or re.search(r"(.)[不没]\1|是不是|有没有|会不会|能不能|要不要", line))
