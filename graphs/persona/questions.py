"""What a question asks: its subject, the kind of answer it wants, and of whom it speaks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from cem_rag_app.persona.intents import Intent, classify, is_question

_FUNCTION_WORDS = re.compile(
    r"去年|今年|前年|明年|最后|之后|平时|地方|到时候|上次说的|[那这哪][盆个只条本家位件部张双](?=\S)|几[样种]|最|讲讲|说说|聊聊|介绍|什么时候|啥时候|什么样|干什么|干嘛|干啥|什么|啥|哪里|哪儿|哪家|哪个|哪天|哪年|哪边|哪颗|哪本|哪|几点|几号|几岁|几月|几楼|几个|几次|几|多少钱|多少|多久|多大|多高|多重|"
    r"怎么样|怎么|为什么|为啥|咋|谁|来着|还记不记得|记不记得|还记得|记得|知不知道|知道|不知道|是不是|有没有|对不对|名字|一下|告诉|到底|究竟|颜色|"
    r"你家|我家|他家|她家|咱家|咱们|咱俩|你们|我们|他们|她们|咱|我|你|您|她|他|它|那个|那家|这家|那本|那只|那条|这个|那|这|上次|上回|之前|以前|现在|最近|后来|"
    r"吗|呢|吧|啊|呀|嘛|啦|哦|的|了|说|是|叫(?=$|\s|什么|啥)|(?<=[吃喝看买])过|\b(?:what|where|when|who|which|how|why|is|are|do|does|did|was|were|the|your?|my|i)\b"
)
_MARKS = re.compile(
    r"[?？]|[吗呢]\W*$|什么\W*$|[了]没\W*$|(.)[不没]\1\W*$|对吧\W*$|^(?:给我|跟我)?(?:讲讲|说说|聊聊|介绍)"
)
_NOW = re.compile(r"现在|最近|目前|如今|多少了|几\w?了|\bnow\b")
_NUMBER = r"(?:\d+|[零一二两三四五六七八九十百千万半]+)"
_TIME = re.compile(
    rf"{_NUMBER}\s*(?:点|号|月|日|年|[:：]\d)|周[一二三四五六日天末]|星期[一二三四五六日天]|礼拜[一二三四五六日天]|"
    r"今天|明天|后天|昨天|前天|今晚|明晚|昨晚|早上|上午|中午|下午|晚上|凌晨|半夜|月底|月初|年底|年后|年前|去年|今年|明年|前年|夏天|冬天|春天|秋天|"
    r"元旦|春节|过年|除夕|清明|五一|端午|中秋|国庆|圣诞|下周|上周|下个月|上个月|monday|tuesday|wednesday|thursday|friday|saturday|sunday|\d{1,2}:\d{2}"
)
_SPAN = re.compile(rf"{_NUMBER}个?(?:半)?(?:年|个?月|周|天|星期|礼拜|小时|分钟|秒)")
_AMOUNT = re.compile(
    r"(?:\d|[二两三四五六七八九十百]|(?<!千)万(?!一))(?![\d零一二三四五六七八九十百]*(?:[周天月年号日点]|星期))|[一半]个?[块元斤岁米里公]"
)
_AGE = re.compile(rf"{_NUMBER}多?岁|[二三四五六七八九]?十[一二三四五六七八九]|\b\d\d\b")
_MONEY = re.compile(rf"{_NUMBER}(?:块|元|毛|百|千|万)|[百千万]|{_NUMBER}块")
_WEIGHT = re.compile(rf"{_NUMBER}(?:多)?(?:斤|公斤|kg|克)")
_NAME = re.compile(r"叫|名字|《|姓")
_IDENTITY = re.compile(r"是|叫|那[盆个只条位]|就")
_PLACE = re.compile(
    r"(?:[在去住回]|[搬调飞跑坐]到)(?!了|过|的|吗|呢|吧|啊|就|都|不|去|来|家$|上班|接|睡|吃|买|学|玩|洗|拉|看|给)[\u4e00-\u9fff]|[路街店城市楼区馆桥河校院](?:$|[\s，。的边里上])|底下"
)
_COLOUR = re.compile(r"[红橙黄绿青蓝紫黑白灰粉棕金银]色?|色的")
_SIDE = re.compile(r"[左右]|[东南西北][边面]|[上下][面边]")
_REASON = re.compile(r"因为|怕|由于|嫌|为了|不想|不小心|要砍|受不了")
_MEASURES = re.compile(r"(第?)几([岁楼点号月年个只次斤块天层本条颗页集章])")
Kind = Literal["time", "span", "amount", "name", "identity", "place", "reason", "colour", "side"]
_WANTED: tuple[tuple[Kind, re.Pattern[str], re.Pattern[str]], ...] = (
    ("span", re.compile(r"多久|多长时间|how long"), _SPAN),
    ("time", re.compile(r"什么时候|啥时候|几点|几号|哪天|哪年|几月|星期几|周几|何时|when\b|what time"), _TIME),
    ("amount", re.compile(r"多少钱|how much"), _MONEY),
    ("amount", re.compile(r"多重"), _WEIGHT),
    ("amount", re.compile(r"多大|how old"), _AGE),
    ("amount", re.compile(r"多少|多[高远长]|how many"), _AMOUNT),
    ("name", re.compile(r"叫什么|叫啥|什么名字|哪本|什么歌|what.*called|name"), _NAME),
    ("colour", re.compile(r"什么颜色|啥颜色|what colou?r"), _COLOUR),
    ("side", re.compile(r"哪[边侧一]*[边侧]|which side"), _SIDE),
    ("identity", re.compile(r"是谁|谁"), _IDENTITY),
    ("place", re.compile(r"哪里|哪儿|在哪|去哪|哪家|睡哪|住哪|where"), _PLACE),
    ("reason", re.compile(r"为什么|为啥|怎么会|怎么这么|怎么那么|\bwhy\b"), _REASON),
)
_STRICT = frozenset({"time", "span", "amount", "colour", "side"})
_OPEN = re.compile(r"什么|啥|哪|几|谁|怎么|咋|多[少久大高长重]|为何|what|where|when|who|which|how|why", re.IGNORECASE)
_POINTS = re.compile(
    r"它|他|她|(?<!到)[那这](?:个|家|只|条|本|里|儿|边|次|天|部|件|时候)|\b(?:it|its|he|his|she|her|they|that|there)\b",
    re.IGNORECASE,
)
_LOOSE = re.compile(r"^(?:[对从跟和当有又给把被在就还也都会来]|去(?!$))+|(?<=\S)[来去过到]$")
_PARTS = re.compile(r"[\s，,。；;？?]+")


@dataclass(frozen=True, slots=True)
class Question:
    """A question, taken apart."""

    text: str
    subject: str
    """Its words without question words, pronouns and particles, in order; may be empty."""
    kind: Kind | None
    """What kind of answer it wants; None for yes, no and anything else."""
    answer: re.Pattern[str] | None
    """What such an answer holds."""
    now: bool
    """Whether it asks how things are now, so that the latest word counts."""
    of_person: bool
    of_user: bool

    @property
    def strict(self) -> bool:
        """Whether a line that does not hold what is wanted is no answer at all."""
        return self.kind in _STRICT

    @property
    def open(self) -> bool:
        """Whether it asks what, where, who, … so that its own words said again answer nothing."""
        return self.kind is not None or _OPEN.search(self.text) is not None

    @property
    def points(self) -> bool:
        """Whether it speaks of something that was named before: 它, 那家."""
        return _POINTS.search(self.text) is not None

    @property
    def asks_back(self) -> bool:
        """Whether it has no subject of its own: 为什么? 在哪? It asks about what was said before it."""
        return not self.subject and self.kind is not None


@lru_cache(maxsize=1_024)
def take_apart(text: str) -> Question:
    """What a question asks. 你 is the person, 我 the user: it is the user who asks."""
    kind: Kind | None = None
    answer: re.Pattern[str] | None = None
    measure = _MEASURES.search(text)
    if measure:
        ordinal, unit = measure.groups()
        kind, answer = "time" if unit in "点号月" else "amount", re.compile(rf"{ordinal}{_NUMBER}{unit}")
        if unit == "号":
            answer = re.compile(rf"{_NUMBER}(?:号|日)|月{_NUMBER}")
    else:
        for name, asked, pattern in _WANTED:
            if asked.search(text):
                kind, answer = name, pattern
                break
    words = _FUNCTION_WORDS.sub(" ", text.casefold()).split()
    telling = [word for word in (_LOOSE.sub("", word) for word in words) if word]
    subject = " ".join(telling or words)
    return Question(
        text=text,
        subject="" if not any(letter.isalnum() for letter in subject) else subject,
        kind=kind,
        answer=answer,
        now=_NOW.search(text) is not None,
        of_person="你" in text,
        of_user=re.search(r"我(?!们)", text) is not None,
    )


@lru_cache(maxsize=1_024)
def parts(text: str) -> tuple[str, ...]:
    """The questions in a message that asks more than one thing, in order; the message itself where it asks one."""
    clauses = [clause for clause in _PARTS.split(text) if clause]
    asking = [clause for clause in clauses if _OPEN.search(clause)]
    return tuple(asking) if len(asking) == len(clauses) > 1 else (text,)


@lru_cache(maxsize=16_384)
def kind_of(text: str) -> Intent:
    """:func:`cem_rag_app.persona.intents.classify`, remembered: a history's lines come by at every turn."""
    return classify(text)


@lru_cache(maxsize=4_096)
def asks(text: str) -> bool:
    """Whether a line asks something."""
    return _MARKS.search(text) is not None or is_question(kind_of(text))
