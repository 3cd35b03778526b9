"""Finding forms of endearment, however they are spelled.

Policy: **strict where it can be an address**. A name of the lexicon breaks the rule wherever it stands, unless

- it is one of the allowed names, whole (``小宝贝`` is not ``宝贝``);
- it is plainly about someone else (``他老婆``, ``我姐老公``, ``她家宝宝``) - but never after 我 or 我的;
- it is part of another word (``老婆饼``, ``老公司``, ``BB霜``).

Names that are everyday words too (``宝``, ``亲``, ``乖乖``, ``小公主``) count only where they stand as an address: at
the start of a line or after a closing particle, with nothing but marks or a pronoun behind, or at the end of a clause
that else only agrees, greets or exclaims (``好的宝``). After such a word a 的 shows no owner (``好的老婆``).

Disguises undone first: full-width and mixed case, traditional characters, tone marks, look-alike letters and digits,
stretched letters (``babyyy``), and for every name its pinyin, its homophones, mixtures of both, and anything that is
neither letter nor Han character between its characters (spaces, marks, emoji, digits, line and bubble ends).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cem_rag_app.persona.endearments import (
    ADDRESS,
    ADDRESS_LATIN,
    ADDRESS_LEFT,
    ADDRESS_RIGHT,
    AFTER_REPLY,
    ALWAYS,
    CLOSING,
    FOLLOWED_BY,
    GLUED,
    HOMOPHONES,
    KISS,
    LATIN,
    LATIN_SYLLABLES,
    LEET,
    LOOK_ALIKE,
    ORDINARY,
    OWN,
    PINYIN,
    PRECEDED_BY,
    THIRD_PARTY,
    TRADITIONAL,
)

# What is neither letter nor Han character is searched as one of three signs: classes that small compile and match fast.
_PAUSE, _DECORATION, _DIGIT = " ", "*", "0"
_PAUSES = frozenset("，。,.!?！？、;；:：…~～")
_SEPARATOR = r"[ *0]"
_GAPS = re.compile(rf"{_SEPARATOR}+")
_LONGEST_GAP = 8


@dataclass(frozen=True, slots=True)
class Found:
    """A form of endearment in a text: the lexicon's spelling, and what stood there."""

    name: str
    written: str


def normalise(text: str) -> str:
    """Undo width, case, tone marks, traditional spelling and look-alike letters; the words stay."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(LOOK_ALIKE)
    plain = "".join(c for c in unicodedata.normalize("NFD", folded) if not unicodedata.combining(c))
    plain = unicodedata.normalize("NFC", plain).translate(TRADITIONAL)
    return re.sub(r"(?<=[a-z])[0-9@$](?=[a-z])", lambda m: m.group().translate(LEET), plain)


def find_pet_names(bubbles: Sequence[str], allowed: Sequence[str] = ()) -> list[Found]:
    """Find every form of endearment that is not allowed, also across bubble ends.

    Args:
        bubbles: A reply.
        allowed: Names that may be used, exactly as they are written here.

    Returns:
        In order of appearance; empty when the reply keeps to the allowed names.
    """
    text = normalise("\n".join(bubbles))
    signs = "".join(map(_sign, text))
    permitted = {normalise(name) for name in allowed}
    found: list[Found] = []
    taken = [False] * len(text)
    for start, end, name in _matches(signs):
        if any(taken[start:end]):
            continue
        taken[start:end] = [True] * (end - start)
        if name not in permitted:
            found.append(Found(name=name, written=text[start:end]))
    return found


def _sign(character: str) -> str:
    """A letter or Han character itself; anything else by its class."""
    if "a" <= character <= "z" or "\u3400" <= character <= "\u9fff":
        return character
    if character in _PAUSES or character.isspace():
        return _PAUSE
    return _DIGIT if character.isdecimal() else _DECORATION


def address_forms(text: str) -> set[str]:
    """Forms of endearment and plain names of the lexicon a message uses, allowed or not."""
    return {found.name for found in find_pet_names([text])}


def _matches(text: str) -> Iterator[tuple[int, int, str]]:
    """Matches that survive the policy, leftmost first, then the longest name."""
    spans: list[tuple[int, int, int, str]] = []
    for name, pattern in _patterns():
        spans.extend((m.start(), -len(name), m.end(), name) for m in pattern.finditer(text) if _counts(text, m, name))
    for start, _, end, name in sorted(spans):
        yield start, end, name


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Patterns of every name: its characters in every spelling, or its letters, with separators allowed between."""
    names = (*ALWAYS, *ADDRESS)
    patterns = [(name, _han_pattern(name)) for name in names]
    patterns += [(name, _latin_pattern(name)) for name in (*LATIN, *ADDRESS_LATIN)]
    # Letters spelled out one by one (q i n a i d e) escape the syllables above.
    spelled = {name: [PINYIN[c] for c in name] for name in names if len(name) > 1 and set(name) <= PINYIN.keys()}
    patterns += [(name, _latin_pattern("".join(syllables))) for name, syllables in spelled.items()]
    return tuple((name, re.compile(pattern)) for name, pattern in patterns)


# A name starts where no Latin letter stands before it, or after an agreement it is glued to (okbaby, haodelaopo).
_LATIN_START = "(?:(?<![a-z])|" + "|".join(f"(?<={reply})" for reply in GLUED) + ")"


def _han_pattern(name: str) -> str:
    if len(name) == 1:
        return rf"{name}|(?<![a-z]){PINYIN[name]}(?![a-z])" if name in CLOSING else name
    pieces = []
    for index, character in enumerate(name):
        spellings = [f"[{HOMOPHONES.get(character, character)}]"]
        if character in PINYIN:
            first = f"(?={PINYIN[character][0]}){_LATIN_START}" if index == 0 else ""
            last = r"(?![a-z])" if index == len(name) - 1 else ""
            spellings.append(f"{first}{PINYIN[character]}{last}")
        pieces.append(f"(?:{'|'.join(spellings)})")
    return f"{_SEPARATOR}{{0,{_LONGEST_GAP}}}".join(pieces)


def _latin_pattern(word: str) -> str:
    return f"(?={word[0]}){_LATIN_START}" + f"{_SEPARATOR}{{0,4}}".join(f"{letter}+" for letter in word) + r"(?![a-z])"


def _counts(text: str, match: re.Match[str], name: str) -> bool:
    """Whether a match is an endearment under the policy."""
    written = match.group()
    before, behind = text[: match.start()], text[match.end() :]
    ordinary = written in ORDINARY and not AFTER_REPLY.search(before)
    if ordinary or behind.lstrip(" ").startswith(FOLLOWED_BY.get(name, ())):
        return False
    if before.endswith(PRECEDED_BY.get(name, ())):
        return False
    if all(character <= "z" for character in written) and not _one_latin_word(written):
        return False
    if name in LATIN:
        return True
    if name in ADDRESS_LATIN:
        return bool(AFTER_REPLY.search(before)) and _ends(behind)
    if not _one_han_word(written, before, behind):
        return False
    if name in ADDRESS:
        return _addresses(name, written, before, behind)
    return bool(OWN.search(before) or AFTER_REPLY.search(before)) or not THIRD_PARTY.search(before)


def _addresses(name: str, written: str, before: str, behind: str) -> bool:
    """Whether an everyday word stands as an address."""
    if name in ("亲", "亲亲") and KISS.match(behind):
        return False
    ends = _ends(behind)
    if name in CLOSING and before.endswith(tuple(CLOSING[name])):
        return False
    if ends and (AFTER_REPLY.search(before) or (written == name and name in CLOSING)):
        return True
    return bool(ADDRESS_LEFT.search(before) and ADDRESS_RIGHT.match(behind))


def _ends(behind: str) -> bool:
    """Whether the clause ends here."""
    return not behind or behind[0] in " *0"


def _one_han_word(written: str, before: str, behind: str) -> bool:
    """Whether characters with gaps are one name rather than the end of one clause and the start of the next.

    ``人老，公司小`` is none: the gap is a pause, and both sides go on. ``老 公``, ``亲.爱.的`` and ``老❤公`` are.
    """
    gaps = _GAPS.findall(written)
    if not gaps or any(gap.strip(_PAUSE) for gap in gaps):
        return True
    return not before or not behind or bool(_GAPS.match(before[-1]) or _GAPS.match(behind[0]))


def _one_latin_word(written: str) -> bool:
    """Whether letters with gaps are one word: no gap, a gap after every letter or syllable, or one no sentence has.

    Two letters with anything between them are no word (B2B).
    """
    gaps = _GAPS.findall(written)
    letters = len(written) - sum(map(len, gaps))
    if not gaps:
        return True
    if letters < 3:
        return False
    pieces = _GAPS.split(written)
    syllables = {*PINYIN.values(), *LATIN_SYLLABLES}
    if len(gaps) == letters - 1 or all(piece in syllables for piece in pieces):
        return True
    return any(gap.strip(_PAUSE) for gap in gaps)
