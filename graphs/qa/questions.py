"""What a question asks for, by its words alone: English and Chinese."""

from __future__ import annotations

import re
from functools import cache

from cem_rag_app.lexical import terms

_FUNCTION_WORDS = """
a about after all also am an and any are as at be because been before being between both but by can could did do does
doing done during each few for from further get give given had has have having he her here hers him his how i if in into
is it its just let many may me might more most much must my near no nor not of off often on once only or other our out
over own please same shall she should so some such take tell than that the their them then there these they this those
through to too under until up us very was we were what when where which while who whom whose why will with would you
your """
_FUNCTION_CHARACTERS = frozenset("哪谁吗呢么什怎几多少的了是在去有和与为个这那会要被把吧啊呀时候")

_ASKS_FIGURE = re.compile(
    r"\b(how (many|much|old|long|far|high|tall|deep|often|wide|heavy)|what (year|time|date)|when)\b"
    r"|多少|几|什么时候|哪[年天月]",
    re.IGNORECASE,
)
_FIGURE = re.compile(
    r"\d|[一二三四五六七八九十百千]"
    r"|\b(one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred|dozen)\b"
    r"|\b(once|twice|(mon|tues|wednes|thurs|fri|satur|sun)day)\b",
    re.IGNORECASE,
)
_ASKS_NAME = re.compile(r"\bwho(m|se)?\b", re.IGNORECASE)
_NAME = re.compile(r"(?<!^)(?<![.!?] )\b[A-Z][a-z]+|^[A-Z][a-z]+ [A-Z]")
_ASKS_REASON = re.compile(r"\bwhy\b|为什么", re.IGNORECASE)
_REASON = re.compile(r"\b(because|since|so that|in order|to (keep|avoid|prevent))\b|因为|所以", re.IGNORECASE)
_KINDS = ((_ASKS_FIGURE, _FIGURE), (_ASKS_NAME, _NAME), (_ASKS_REASON, _REASON))


def content_terms(question: str) -> list[str]:
    """Return the search terms that say what a question is about, each once; all terms where none would be left.

    >>> content_terms("冬天去哪里吃火锅？")
    ['冬天', '里吃', '吃火', '火锅']
    """
    words = list(dict.fromkeys(terms(question)))
    return [word for word in words if word not in _function_terms() and not _FUNCTION_CHARACTERS & set(word)] or words


@cache
def _function_terms() -> frozenset[str]:
    return frozenset(terms(_FUNCTION_WORDS))


def is_of_the_asked_kind(question: str, sentence: str) -> bool:
    """Whether a sentence has what the question word asks for: a figure, a name, a reason.

    >>> is_of_the_asked_kind("When does it open?", "The dome opens at 19:30.")
    True
    """
    return any(asked.search(question) and given.search(sentence) for asked, given in _KINDS)
