"""Finding the line that answers a question among recalled lines, and saying it from the person's side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from cem_rag_app.persona.intents import classify, is_question
from cem_rag_app.schema import Message
from graphs.persona.lexicon import Lexicon, grams
from graphs.persona.state import CHAT_SOURCE

_FUNCTION_WORDS = re.compile(
    r"什么时候|啥时候|什么样|干什么|干嘛|干啥|什么|啥|哪里|哪儿|哪家|哪个|哪天|哪年|哪边|哪|几点|几号|几岁|几月|几个|几次|几|多少|多久|多大|多高|多重|"
    r"怎么样|怎么|为什么|为啥|咋|谁|来着|还记不记得|记不记得|还记得|记得|知不知道|知道|不知道|是不是|有没有|对不对|名字|一下|告诉|到底|究竟|"
    r"你家|我家|他家|她家|咱家|咱们|咱俩|你们|我们|他们|她们|咱|我|你|您|她|他|它|那个|那家|这家|那本|那只|那条|这个|那|这|上次|上回|之前|以前|现在|最近|后来|"
    r"吗|呢|吧|啊|呀|嘛|啦|哦|的|了|叫(?=$|什么|啥)|(?<=[吃喝看买])过"
)
_NOW = re.compile(r"现在|最近|目前|如今|\bnow\b")
_QUESTION_MARKS = re.compile(r"[?？]|[吗呢]\W*$|什么\W*$|了没\W*$")
_NUMBER = r"(?:\d+|[零一二两三四五六七八九十百千万半]+)"
_TIME = re.compile(
    rf"{_NUMBER}\s*(?:点|号|月|日|年|岁|周|天|星期|礼拜|小时|分钟|个月|[:：]\d)|周[一二三四五六日天末]|星期[一二三四五六日天]|礼拜[一二三四五六日天]|"
    r"今天|明天|后天|昨天|前天|今晚|明晚|昨晚|早上|上午|中午|下午|晚上|凌晨|半夜|月底|月初|年底|年后|年前|去年|今年|明年|前年|夏天|冬天|春天|秋天|"
    r"元旦|春节|过年|除夕|清明|五一|端午|中秋|国庆|圣诞|下周|上周|下个月|上个月|monday|tuesday|wednesday|thursday|friday|saturday|sunday|\d{1,2}:\d{2}"
)
_AMOUNT = re.compile(_NUMBER)
_NAME = re.compile(r"叫|名字|是|《|姓")
_PLACE = re.compile(r"在|去|到|住|来|回|路|街|店|家|城|市|楼|区|馆|桥|河|山|校|院|机场|车站")
_REASON = re.compile(r"因为|怕|由于|所以|才|嫌|为了|想|不小心|就是")
_WANTED: tuple[tuple[re.Pattern[str], re.Pattern[str], bool], ...] = (
    # what is asked, what an answer holds, whether a line without it is no answer at all
    (re.compile(r"什么时候|啥时候|几点|几号|哪天|哪年|几月|星期几|周几|多久|when|what time"), _TIME, True),
    (re.compile(r"多少|几[岁个次只斤块条本次]|多[大高重远长贵]|how (?:many|much|old)"), _AMOUNT, True),
    (re.compile(r"叫什么|叫啥|什么名字|名字|是谁|谁"), _NAME, False),
    (re.compile(r"哪里|哪儿|在哪|去哪|哪家|哪个|where"), _PLACE, False),
    (re.compile(r"为什么|为啥|怎么会|怎么这么|怎么那么|why"), _REASON, False),
)
_CLAUSES = re.compile(r"[\s，,。.！!？?；;…~～]+")
_TAIL = re.compile(r"[\s，,。.！!？?…~～啊呀啦了哦呢嘛吧哈]+$")

OWN = 1.0
NEARBY = (0.75, 0.6, 0.5, 0.4, 0.35, 0.3)
"""What a word counts that stands one, two, … lines before the answer: 它怕什么 speaks of whoever was named before."""

ASKED_ALIKE = 0.3
"""What it adds that the line answered a question worded like this one."""

NEAR_SECONDS = 3_600.0
LATEST = 0.12
"""Share of a fact's score that goes by its age: what was said last holds."""

LATEST_NOW = 0.40
"""The same where the question is about now."""

AS_GOOD = 0.85
AS_GOOD_NOW = 0.65
"""Share of the best line's score from which a later line can overtake it."""

COVERED = 0.58
TYPED = 0.30
"""What holding the subject, and holding the kind of thing asked for, are worth."""

LONGEST_ECHO = 16


@dataclass(frozen=True, slots=True)
class Fact:
    """A line that may answer the question."""

    line: Message
    score: float
    """Confidence in [0, 1]."""
    follows: tuple[Message, ...]
    """The speaker's next lines in the same burst."""
    segment_id: int = 0


def topic(question: str) -> frozenset[str]:
    """What a question is about: its grams without question words, pronouns and particles."""
    return grams(topic_words(question))


def topic_words(question: str) -> str:
    """The words that :func:`topic` looks at, in order."""
    return " ".join(_FUNCTION_WORDS.sub(" ", question).split())


def asks_back(question: str) -> bool:
    """Whether a question has no subject of its own: 为什么? 在哪? It asks about what was said before it."""
    return not topic(question) and any(asked.search(question) for asked, _, _ in _WANTED)


def find_facts(question: str, stretches: Sequence[tuple[int, Sequence[Message]]], lexicon: Lexicon) -> list[Fact]:
    """Lines that may answer a question, the most likely first.

    A line answers when it holds what is asked for (a time for "when", a number for "how many") and it, or what was
    said just before it, holds what the question is about. Of two that do so equally, the later one counts.

    Args:
        question: What the user asks.
        stretches: (segment id, lines in order of speech) of every recalled segment.
        lexicon: How telling each gram is.
    """
    about = lexicon.known(topic(question))
    if not about:
        return []
    wanted = [(pattern, strict) for asked, pattern, strict in _WANTED if asked.search(question)]
    latest = LATEST_NOW if _NOW.search(question) else LATEST
    best: dict[int, Fact] = {}
    for segment_id, lines in stretches:
        held = [grams(line.text) for line in lines]
        for at, line in enumerate(lines):
            if line.source == CHAT_SOURCE and line.role == "assistant":
                continue  # what the voice itself said proves nothing
            asks = _asks(line.text)
            if asks and line.role == "user":
                continue  # a question asked before tells nothing
            near = [at > back and _near(line, lines[at - back - 1]) for back in range(len(NEARBY))]
            covered = _covered(about, held, at, lexicon, near)
            typed = _typed(
                line.text, wanted, sum(lexicon.weight(g) >= 0.6 for g in held[at] - about if len(g) == 1) >= 2
            )
            if covered <= 0 or typed is None:
                continue
            score = (COVERED * covered + TYPED * typed) * _side(question, line)
            if line.role == "assistant" and at and lines[at - 1].role == "user" and _asks(lines[at - 1].text):
                score += ASKED_ALIKE * lexicon.overlap(question, lines[at - 1].text)
            if asks:
                score *= 0.35
            if wanted and not typed:
                score *= 0.8
            if line.message_id not in best or best[line.message_id].score < score:
                follows = []
                for later in lines[at + 1 :]:
                    if later.role != line.role:
                        break
                    follows.append(later)
                best[line.message_id] = Fact(line, score, tuple(follows), segment_id)
    # Of the lines that answer about as well, the later one holds.
    bar = (AS_GOOD_NOW if latest == LATEST_NOW else AS_GOOD) * max((fact.score for fact in best.values()), default=0.0)
    by_time = sorted({fact.line.timestamp for fact in best.values() if fact.score >= bar})
    later = {time: (rank + 1) / len(by_time) for rank, time in enumerate(by_time)}
    dated = [
        replace(fact, score=min(1.0, fact.score + latest * later.get(fact.line.timestamp, 0.0)))
        for fact in best.values()
    ]
    return sorted(dated, key=lambda fact: -fact.score)


def echo(line: str, question: str, opening: str, ending: str) -> str:
    """A user's own line given back from the person's side: 我下周三去杭州 -> 你不是说下周三去杭州嘛."""
    clauses = [clause for clause in _CLAUSES.split(line) if clause]
    about = topic(question)
    wanted = [pattern for asked, pattern, _ in _WANTED if asked.search(question)]
    useful = [
        clause for clause in clauses if about & grams(clause) or any(pattern.search(clause) for pattern in wanted)
    ] or clauses
    body = ""
    for clause in useful:
        if body and len(body) + len(clause) > LONGEST_ECHO:
            break
        body = f"{body} {clause}".strip()
    body = _TAIL.sub("", body)
    turned = "".join({"我": "你", "你": "我"}.get(letter, letter) for letter in body)
    return f"{opening}{turned.removeprefix('你')}{ending}"


@lru_cache(maxsize=4_096)
def _asks(text: str) -> bool:
    return _QUESTION_MARKS.search(text) is not None or is_question(classify(text))


def _near(line: Message, earlier: Message) -> bool:
    """Whether an earlier line lends its words: only to the person, who answered it, and only soon after."""
    return line.role == "assistant" and line.timestamp - earlier.timestamp < NEAR_SECONDS


def _covered(
    about: frozenset[str], held: Sequence[frozenset[str]], at: int, lexicon: Lexicon, near: Sequence[bool]
) -> float:
    """Share of the topic that the line and what surrounds it hold, nearer lines counting more."""
    total = lexicon.mass(about)
    if not total:
        return 0.0
    sum_ = 0.0
    for gram in about:
        if gram in held[at]:
            value = OWN
        else:
            value = next(
                (NEARBY[back] for back in range(len(NEARBY)) if near[back] and gram in held[at - back - 1]), 0.0
            )
        sum_ += value * lexicon.weight(gram) ** 2
    return sum_ / total


def _typed(text: str, wanted: Sequence[tuple[re.Pattern[str], bool]], tells: bool) -> float | None:
    """How well a line holds the kind of thing asked for; None when it lacks what it must hold.

    A name needs no word that marks it: a line that tells something new may hold one.
    """
    if not wanted:
        return 0.5
    best = 0.0
    for pattern, strict in wanted:
        if pattern.search(text):
            best = 1.0
        elif strict:
            return None
        elif tells and pattern is _NAME:
            best = max(best, 0.3)
    return best


def _side(question: str, line: Message) -> float:
    """Whether the line speaks of the one asked about. 你 in a question is the person, 我 is the user."""
    of_person, of_user = "你" in question, re.search(r"我(?!们)", question) is not None
    if of_person == of_user:
        return 1.0 if line.role == "assistant" else 0.8
    if of_person:
        if line.role == "assistant":
            return 0.8 if "你" in line.text and "我" not in line.text else 1.0
        return 0.7 if "你" in line.text else 0.35
    if line.role == "user":
        return 0.9
    return 1.0 if "你" in line.text else 0.7
