"""Finding forms of endearment, however they are spelled.

Policy: **strict where it can be an address**. A name of the lexicon breaks the rule wherever it stands, unless

- it is one of the allowed names, whole (``小宝贝`` is not ``宝贝``);
- it is plainly about someone else (``他老婆``, ``我姐老公``, ``她家宝宝``) - but never after 我 or 我的;
- it is part of another word (``老婆饼``, ``老公司``, ``BB霜``).

Names that are everyday words too (``宝``, ``亲``, ``乖乖``, ``小公主``) count only where they stand as an address: at
the start of a line or after a closing particle, with nothing but marks or a pronoun behind.

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

# Name -> how each character is spelled. Anywhere in a line these are an endearment.
_ALWAYS = (
    "亲爱的", "宝宝", "宝贝", "宝贝儿", "小宝贝", "大宝贝", "乖宝贝", "老婆", "老公", "心肝", "小可爱", "甜心", "小甜甜",
    "乖乖宝", "乖宝", "宝子", "宝儿", "小乖乖", "小宝宝", "媳妇儿", "媳妇", "老婆大人", "小心肝", "达令", "哈尼", "蜜糖",
    "心肝宝贝", "小亲亲", "我的爱", "吾爱", "郎君", "夫君", "相公", "娘子", "爱妃", "老攻", "小祖宗", "卿卿",
)  # fmt: skip
# Everyday words too: an endearment only where they stand as an address.
_ADDRESS = (
    "宝", "亲", "亲亲", "乖乖", "崽", "崽崽", "囡囡", "小公主", "公主", "小仙女", "仙女", "小天使", "天使", "小乖",
    "大宝", "小宝", "宝宝子", "美人", "女神", "男神", "饱饱", "小猪猪", "小朋友", "爱人",
)  # fmt: skip
_ENGLISH = (
    "baby", "babe", "babes", "bae", "bb", "bby", "honey", "hon", "hunny", "darling", "dear", "dearest", "sweetheart",
    "sweetie", "sweety", "hubby", "wifey", "cutie", "cutiepie", "sweetpie", "sugarplum", "pumpkin", "my love", "mylove",
    "my angel", "beloved", "princess",
)  # fmt: skip

_PINYIN = {
    "亲": "qin", "爱": "ai", "的": "de", "宝": "bao", "贝": "bei", "儿": "er", "老": "lao", "婆": "po", "公": "gong",
    "心": "xin", "肝": "gan", "甜": "tian", "乖": "guai", "媳": "xi", "妇": "fu", "小": "xiao", "可": "ke", "达": "da",
    "令": "ling", "哈": "ha", "尼": "ni", "囡": "nan", "崽": "zai", "大": "da", "子": "zi", "攻": "gong",
}  # fmt: skip
_HOMOPHONES = {
    "亲": "亲侵钦秦", "爱": "爱耐艾愛碍", "的": "的哒滴底得地嘚", "宝": "宝饱堡葆", "老": "老佬劳脑", "婆": "婆泼嘙",
    "公": "公工攻宫", "心": "心芯新", "肝": "肝甘干", "甜": "甜恬", "贝": "贝呗背", "媳": "媳息", "妇": "妇妇福",
}  # fmt: skip
# A homophone pair that is an ordinary word is no disguise.
_ORDINARY = frozenset({"饱饱", "老工", "劳工", "老宫", "新干", "心干", "心甘", "新甘", "恬心", "饱子", "堡子", "劳婆", "亲爱地", "饱儿"})  # fmt: skip
_TRADITIONAL = str.maketrans("親愛寶貝達兒婦們嬌", "亲爱宝贝达儿妇们娇")
_LOOK_ALIKE = str.maketrans("аеорсухіѕԁ", "aeopcyxisd")
_LEET = str.maketrans("04531@$", "oasel" + "as")
_SEPARATOR = r"[^a-z\u3400-\u9fff]"
_THIRD_PARTY = re.compile(
    r"(?:[他她它谁]|别人|人家|同事|老板|朋友|闺蜜|室友|邻居|老师|姐|哥|弟|妹|叔|婶|姨|舅|姑|妈|爸|领导|客户|司机|表嫂)"
    r"们?(?:的|家的?|有)?$|(?<![我你咱])的$|[个只名位怀生养带娶讨怕]$|[它她他家]$"
)
_MINE = re.compile(r"(?:我|咱)(?:家|们)?的?$")
_LONGER_WORDS = {
    "老公": ("司", "园", "寓", "房", "交", "路", "安", "社", "鸡", "式", "示", "共", "开", "众"),
    "老婆": ("饼", "本"),
    "宝宝": ("巴士", "椅", "霜", "树", "车", "辅食", "照"),
    "宝贝儿": ("子",),
    "宝子": (),
    "心肝": ("脾", "肺"),
    "甜心": ("教主",),
    "娘子": ("军",),
    "bb": ("霜", "机", "弹", "肥", "cream", "枪"),
    "honey": ("mustard", "butter"),
    "dear": ("god",),
    "baby": ("shower", "face"),
}
_BEFORE_LONGER = {
    "bb": ("别", "少", "瞎", "在"),
    "dear": ("oh ",),
    "宝儿": (),
    "宝子": ("元", "珠"),
    "老婆": (),
    "媳妇": ("儿",),
}
_ADDRESS_RIGHT = re.compile(r"(?:$|[^a-z0-9\u3400-\u9fff]|[你我咱您]|(?:快|早|晚|在吗|在不|别|们|呀|啊|哟|哎))")
_ADDRESS_LEFT = re.compile(
    r"(?:^|[^a-z0-9\u3400-\u9fff]|[了啦呀吧哦嘛呢哈啊嗯哎欸诶喂嘿嗨]|我的|我家|晚安|早安|早上好|[想爱]你|谢谢|拜拜|好的|乖|叫你|喊你)$"
)
_KISS = re.compile(r"^(?:[你我它他她]|一[下口]|抱抱|额|脸|嘴|猫)")


@dataclass(frozen=True, slots=True)
class Found:
    """A form of endearment in a text: the lexicon's spelling, and what stood there."""

    name: str
    written: str


def normalise(text: str) -> str:
    """Undo width, case, tone marks, traditional spelling and look-alike letters; the words stay."""
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_LOOK_ALIKE)
    plain = "".join(c for c in unicodedata.normalize("NFD", folded) if not unicodedata.combining(c))
    plain = unicodedata.normalize("NFC", plain).translate(_TRADITIONAL)
    return re.sub(r"(?<=[a-z])[0-9@$](?=[a-z])", lambda m: m.group().translate(_LEET), plain)


def find_pet_names(bubbles: Sequence[str], allowed: Sequence[str] = ()) -> list[Found]:
    """Find every form of endearment that is not allowed, also across bubble ends.

    Args:
        bubbles: A reply.
        allowed: Names that may be used, exactly as they are written here.

    Returns:
        In order of appearance; empty when the reply keeps to the allowed names.
    """
    text = normalise("\n".join(bubbles))
    permitted = {normalise(name) for name in allowed}
    found: list[Found] = []
    taken = [False] * len(text)
    for start, end, name in _matches(text):
        if any(taken[start:end]):
            continue
        taken[start:end] = [True] * (end - start)
        if name not in permitted:
            found.append(Found(name=name, written=text[start:end]))
    return found


def address_forms(text: str) -> set[str]:
    """Forms of endearment and plain names of the lexicon a message uses, allowed or not."""
    return {found.name for found in find_pet_names([text])}


def _matches(text: str) -> Iterator[tuple[int, int, str]]:
    """Candidate matches that survive the policy, leftmost first, then the longest name."""
    spans = []
    for name, pattern in _patterns():
        spans.extend((m.start(), -len(name), m.end(), name) for m in pattern.finditer(text) if _counts(text, m, name))
    for start, _, end, name in sorted(spans):
        yield start, end, name


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """One pattern a name: its characters, each in every spelling, with separators allowed between."""
    patterns = [(name, re.compile(_han_pattern(name))) for name in (*_ALWAYS, *_ADDRESS)]
    patterns += [(name, re.compile(_english_pattern(name))) for name in _ENGLISH]
    return tuple(patterns)


def _han_pattern(name: str) -> str:
    if len(name) == 1:
        return name
    pieces = []
    for index, character in enumerate(name):
        spellings = [f"[{_HOMOPHONES.get(character, character)}]"]
        if character in _PINYIN:
            first = r"(?<![a-z])" if index == 0 else ""
            last = r"(?![a-z])" if index == len(name) - 1 else ""
            spellings.append(f"{first}{_PINYIN[character]}{last}")
        pieces.append(f"(?:{'|'.join(spellings)})")
    return f"{_SEPARATOR}{{0,6}}".join(pieces)


def _english_pattern(name: str) -> str:
    letters = name.replace(" ", "")
    return r"(?<![a-z])" + f"{_SEPARATOR}{{0,4}}".join(f"{letter}+" for letter in letters) + r"(?![a-z])"


def _counts(text: str, match: re.Match[str], name: str) -> bool:
    """Whether a match is an endearment under the policy."""
    written = match.group()
    before, behind = text[: match.start()], text[match.end() :]
    if written in _ORDINARY or behind.startswith(_LONGER_WORDS.get(name, ())):
        return False
    if before.endswith(_BEFORE_LONGER.get(name, ())):
        return False
    if name in _ENGLISH:
        return _whole_english(written, name)
    if not _together(written, before, behind):
        return False
    if name in _ADDRESS:
        if name == "亲亲" and _KISS.match(behind):
            return False
        return bool(_ADDRESS_LEFT.search(before) and _ADDRESS_RIGHT.match(behind))
    return bool(_MINE.search(before)) or not _THIRD_PARTY.search(before)


def _together(written: str, before: str, behind: str) -> bool:
    """Whether characters with gaps between them are one name rather than the end of one clause and a next one's start.

    ``人老，公司`` is none: the gap is a pause, and both sides go on. ``老 公``, ``亲.爱.的`` and ``老❤公司`` are.
    """
    gaps = re.findall(rf"{_SEPARATOR}+", written)
    if not gaps or any(not re.fullmatch(r"[\s，。,.!?！？、;；:：…~～]+", gap) for gap in gaps):
        return True
    return not re.search(r"[a-z\u3400-\u9fff]$", before) or not re.match(r"[a-z\u3400-\u9fff]", behind)


def _whole_english(written: str, name: str) -> bool:
    """Whether letters with gaps are one word: none, between every letter, or a gap that no sentence has."""
    gaps = re.findall(rf"{_SEPARATOR}+", written)
    letters = len(name.replace(" ", ""))
    if not gaps or len(gaps) == letters - 1 or (" " in name and written.split() == name.split()):
        return True
    return all(re.fullmatch(r"[\s，。,.!?！？]+", gap) is None for gap in gaps)
