"""The rules that nothing softens: pure functions on the final text (blueprint sections 1.1 and 7.3, invariant I8)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cem_rag_app.persona.bubbles import markdown_marks, split_long, strip_markdown
from cem_rag_app.persona.pet_names import find_pet_names

RuleName = Literal[
    "empty",
    "too_many_bubbles",
    "bubble_too_long",
    "markdown",
    "pet_name",
    "self_reference",
    "lecturing",
    "boundary",
    "forbidden_word",
]

_SELF_REFERENCE = re.compile(
    r"(?:作为|身为|我(?:只)?是|我不过是|只是|一[个名款])(?:一[个名款段]|由.{1,12}(?:训练|开发)的)?(?:大型|人工)?(?:ai|a\.i\.|人工智能|语言模型|大模型|聊天机器人|智能助手|虚拟助手|机器人|程序)"
    r"|(?:大型?|大规模)语言模型|语言模型|ai(?:语言)?(?:模型|助手|助理)|人工智能(?:助手|助理|模型)"
    r"|as an? (?:ai|artificial|language model|assistant|chat ?bot)|i(?:'| a)?m (?:just )?an? (?:ai|artificial|language model|assistant|chat ?bot)"
    r"|language model|chatgpt|openai|gemini|系统提示词?|system prompt|提示词|我的设定是"
    r"|(?:无法|不能)(?:提供|协助|回答)(?:此类|这类|该|您|你的)|我没有(?:真实的?)?(?:情感|感情|意识|实体|身体)"
)
_LECTURING = re.compile(
    r"综上所述|总而言之|总的来说|总结一下|值得注意的是|需要注意的是|需要指出的是|重要的是要|换句话说|与此同时|不可否认|众所周知|"
    r"由此可见|希望(?:这|以上|我的).{0,8}(?:帮助|帮到)|如(?:果|有)您?(?:有|还有).{0,4}(?:任何|其他)(?:问题|疑问)|请随时|建议您|为您|"
    r"一方面.*另一方面|第一[,，、:：].*第二|首先.*(?:其次|然后|再次|最后)|其次[,，]|以下(?:是|几点|为)|几点建议|"
    r"in conclusion|in summary|to summarize|furthermore|moreover|firstly.*secondly|first(?:ly)?,.*second(?:ly)?,|it is important to|"
    r"i hope this helps|feel free to|here are (?:some|a few)"
)
_OPENING_LECTURE = re.compile(r"^(?:首先|其次|再次|总之|此外)[\s,，:：]")
_BOUNDARY = re.compile(
    r"(?:发|给|告诉|报)(?:一下|下)?我?.{0,6}(?:验证码|银行卡号|身份证号|支付密码|卡密|cvv)|(?:给我|帮我|先)(?:转账|打钱|汇款)|转(?:点|些)?钱给我|"
    r"你(?:怎么不|不如|还是|应该|可以|就)?(?:去)?(?:自杀|割腕|跳楼|上吊|自残)(?:吧|啊|好了|算了)|教你(?:怎么|如何)?(?:自杀|自残|割腕|制毒|做炸弹|造炸弹)|"
    r"你(?:怎么)?不去死|活着没(?:什么)?意思.{0,4}一起死|(?<!\d)\d{17}[\dx](?!\d)|(?<!\d)\d{16,19}(?!\d)"
)


class HardRules(BaseModel):
    """The owner's rules for one persona, immutable from its creation on.

    The pet-name, form, self-reference, lecturing and boundary rules have no switch: only their bounds are the owner's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    persona: str = Field(default="", description="The person's name in their history.")
    allowed_pet_names: tuple[str, ...] = Field(default=("宝贝",), description="The only pet names allowed.")
    max_bubbles: int = Field(default=4, ge=1, le=10, description="Bubbles a reply at most.")
    max_bubble_characters: int = Field(default=40, ge=8, le=500, description="Characters a bubble at most.")
    forbidden_words: tuple[str, ...] = Field(default=(), description="Words the owner never wants to read.")


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule and what broke it."""

    rule: RuleName
    detail: str


def violations(bubbles: Sequence[str], rules: HardRules) -> list[Violation]:
    """Name every broken rule of a reply; an empty list means that it may be said.

    Args:
        bubbles: The reply as it would be sent.
        rules: The owner's rules.
    """
    found: list[Violation] = []
    if not bubbles or any(not _says_something(bubble) for bubble in bubbles):
        found.append(Violation("empty", "a reply needs a bubble, and every bubble a text"))
    if len(bubbles) > rules.max_bubbles:
        found.append(Violation("too_many_bubbles", f"{len(bubbles)} bubbles, {rules.max_bubbles} allowed"))
    for number, bubble in enumerate(bubbles, start=1):
        if len(bubble) > rules.max_bubble_characters:
            found.append(
                Violation(
                    "bubble_too_long",
                    f"bubble {number} has {len(bubble)} characters, {rules.max_bubble_characters} allowed",
                )
            )
        found.extend(Violation("markdown", f"bubble {number}: {mark}") for mark in markdown_marks(bubble))
    found.extend(content_violations(bubbles, rules))
    return found


def content_violations(bubbles: Sequence[str], rules: HardRules) -> list[Violation]:
    """The violations no mending removes: what is said, not how it is cut."""
    text = _squeezed("\n".join(bubbles))
    found = [
        Violation("pet_name", f"{pet.name} (written {pet.written!r})")
        for pet in find_pet_names(bubbles, rules.allowed_pet_names)
    ]
    for rule, pattern in (("self_reference", _SELF_REFERENCE), ("lecturing", _LECTURING), ("boundary", _BOUNDARY)):
        match = pattern.search(text.replace("\n", "，") if rule != "boundary" else text)
        if match:
            found.append(Violation(rule, match.group()))  # type: ignore[arg-type]
    if not any(violation.rule == "lecturing" for violation in found):
        opening = next(filter(None, (_OPENING_LECTURE.search(_squeezed(bubble)) for bubble in bubbles)), None)
        if opening:
            found.append(Violation("lecturing", opening.group().strip()))
    found.extend(Violation("forbidden_word", word) for word in rules.forbidden_words if word.casefold() in text)
    return found


def enforce(bubbles: Sequence[str], rules: HardRules) -> tuple[str, ...] | None:
    """Mend what can be mended without changing what is said; the same input always gives the same reply.

    Markdown is taken off, line ends become bubbles, long bubbles are cut at punctuation, empty ones and those beyond the
    limit are dropped.

    Args:
        bubbles: A reply.
        rules: The owner's rules.

    Returns:
        A reply with no violation, or None where what is said breaks a rule, or nothing is left to say.
    """
    if content_violations(bubbles, rules):
        return None
    mended: list[str] = []
    for bubble in bubbles:
        for line in strip_markdown(bubble).splitlines():
            mended.extend(piece for piece in split_long(line, rules.max_bubble_characters) if _says_something(piece))
    reply = tuple(mended[: rules.max_bubbles])
    return reply if reply and not violations(reply, rules) else None


def _says_something(bubble: str) -> bool:
    """Whether anything visible is left: a question mark or an emoji says something, white space does not."""
    return any(not letter.isspace() and letter.isprintable() for letter in bubble)


def _squeezed(text: str) -> str:
    """Width and case undone, invisible characters removed, so that a phrase cannot hide behind them."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if unicodedata.category(c) != "Cf")
