"""How a person writes, learned from their messages: numbers that can be shown, stored as JSON and compared.

A style shows in bundles, not in single lines: ten people were told apart in 47 % of cases from one message, 90 % from
twenty. ``style_similarity`` therefore weighs what is stable in a few lines (letters used, length, punctuation habits)
and says little about one.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from cem_rag_app.persona.pet_names import address_forms
from cem_rag_app.schema import Message

PARTICLES = frozenset("啊呀吧吗嘛呢啦了哦噢喔哈嘿欸诶唉哎嗯呜哇咯喽哼耶呗么的滴哒")
"""Sentence-final particles and interjections; what a line ends on, before its punctuation."""

BURST_GAP_SECONDS = 300.0
"""Messages of the person this close together belong to one burst."""

NGRAMS_KEPT = 1000
BUNDLE_SIZES = (1, 2, 4, 8, 20)
"""Sizes of bundle for which a profile says what is typical of the person."""
CALIBRATION_LINES = 2_000
"""How many of the latest lines say it."""

UTC_OFFSET_HOURS = 8
"""Hours of day are told in China Standard Time, where nothing else is known."""

_EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf\u2b00-\u2bff]")
_STICKER = re.compile(r"\[[^\[\]\s]{1,12}\]")
_MARKS = "。，！？…~、；：.,!?"
_TRAILING = re.compile(rf"[\s{re.escape(_MARKS)}～\U0001f300-\U0001faff\u2600-\u27bf]+$")


class Spread(BaseModel):
    """Three quantiles of a count."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    p10: float = 0.0
    p50: float = 0.0
    p90: float = 0.0


class StyleProfile(BaseModel):
    """A person's way of writing. Rates are per message, in [0, 1] unless said otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    messages: int = Field(default=0, description="Messages it was learned from; 0 means nothing is known.")
    length: Spread = Field(default=Spread(), description="Characters a message.")
    burst: Spread = Field(default=Spread(), description="Messages in a row.")
    particles: dict[str, float] = Field(default_factory=dict, description="Messages that end on this particle.")
    emoji: dict[str, float] = Field(default_factory=dict, description="Most used emoji and stickers.")
    with_emoji: float = Field(default=0.0, description="Messages with an emoji or a sticker.")
    punctuation: dict[str, float] = Field(default_factory=dict, description="Messages that contain this mark.")
    ends_bare: float = Field(default=0.0, description="Messages that end without punctuation.")
    laughs: float = Field(default=0.0, description="Messages with a laugh.")
    openings: dict[str, float] = Field(default_factory=dict, description="Most frequent first two characters.")
    closings: dict[str, float] = Field(default_factory=dict, description="Most frequent last two, marks stripped.")
    address: dict[str, float] = Field(default_factory=dict, description="Forms of address used.")
    hours: tuple[float, ...] = Field(default=(0.0,) * 24, description="Share of messages by hour of day.")
    typical: dict[int, float] = Field(
        default_factory=dict, description="Bundle size -> raw likeness that 3 of 4 of the person's own bundles reach."
    )
    ngrams: dict[str, float] = Field(default_factory=dict, description="Share of the commonest character 1-3-grams.")


def learn_style(messages: Sequence[Message], *, utc_offset_hours: float = UTC_OFFSET_HOURS) -> StyleProfile:
    """Learn a profile from the person's messages.

    Args:
        messages: In order of speech. Messages of the user are not learned from; they only end a burst.
        utc_offset_hours: The person's time zone, for the hours of day.

    Returns:
        The profile; with ``messages == 0`` where the person said nothing.
    """
    own = [message for message in messages if message.role == "assistant" and message.text.strip()]
    if not own:
        return StyleProfile()
    texts = [message.text.strip() for message in own]
    count = len(texts)
    marks: Counter[str] = Counter(mark for text in texts for mark in set(text) & set(_MARKS + "～"))
    emoji: Counter[str] = Counter(sign for text in texts for sign in set(_emoji(text)))
    hours: Counter[int] = Counter(
        (datetime.fromtimestamp(message.timestamp, UTC) + timedelta(hours=utc_offset_hours)).hour for message in own
    )
    profile = StyleProfile(
        messages=count,
        length=_spread([len(text) for text in texts]),
        burst=_spread(_burst_lengths(messages)),
        particles=_rates(Counter(p for p in map(_particle, texts) if p), count, 12),
        emoji=_rates(emoji, count, 12),
        with_emoji=sum(1 for text in texts if _emoji(text)) / count,
        punctuation=_rates(marks, count, 16),
        ends_bare=sum(1 for text in texts if _ends_bare(text)) / count,
        laughs=sum(1 for text in texts if "哈哈" in text or "嘿嘿" in text or "haha" in text.lower()) / count,
        openings=_rates(Counter(text[:2] for text in texts), count, 20),
        closings=_rates(Counter(_TRAILING.sub("", text)[-2:] for text in texts), count, 20),
        address=_rates(Counter(form for text in texts for form in address_forms(text)), count, 12),
        hours=tuple(round(hours[hour] / count, 4) for hour in range(24)),
        ngrams=_shares(_ngrams(texts), NGRAMS_KEPT),
    )
    return profile.model_copy(update={"typical": _typical(texts[-CALIBRATION_LINES:], profile)})


def style_similarity(bubbles: Sequence[str], profile: StyleProfile) -> float:
    """How much a bundle of lines reads like the person, in [0, 1]; 0.5 where nothing is known, 0 for nothing said.

    A raw likeness is the weighted mean of: overlap of its character 1-3-grams with the person's (.6, Bhattacharyya),
    length of its lines (.15), endings without punctuation (.125), lines ending on a particle of the person's (.125).
    What three of four of the person's own bundles of that size reach counts as 1: above it, differences are chance.
    """
    texts = [bubble.strip() for bubble in bubbles if bubble.strip()]
    if profile.messages == 0:
        return 0.5
    return min(1.0, _likeness(texts, profile) / _expected(len(texts), profile)) if texts else 0.0


def _likeness(texts: Sequence[str], profile: StyleProfile) -> float:
    """The raw likeness of stripped, non-empty lines."""
    grams = _ngrams(texts)
    total = grams.total()
    overlap = sum(math.sqrt(count / total * profile.ngrams.get(gram, 0.0)) for gram, count in grams.items())
    length = sum(_length_fit(len(text), profile.length) for text in texts) / len(texts)
    bare = 1.0 - abs(sum(1 for text in texts if _ends_bare(text)) / len(texts) - profile.ends_bare)
    with_particle = sum(1 for text in texts if _particle(text) in profile.particles) / len(texts)
    particles = 1.0 - abs(with_particle - min(1.0, sum(profile.particles.values())))
    return 0.6 * overlap + 0.15 * length + 0.125 * bare + 0.125 * particles


def _typical(texts: Sequence[str], profile: StyleProfile) -> dict[int, float]:
    """Lower quartile of the raw likeness of bundles of consecutive lines, for every size with four bundles or more."""
    quartiles = {}
    for size in BUNDLE_SIZES:
        bundles = [texts[start : start + size] for start in range(0, len(texts) - size + 1, size)]
        if len(bundles) >= 4:
            quartiles[size] = round(sorted(_likeness(bundle, profile) for bundle in bundles)[len(bundles) // 4], 4)
    return quartiles


def _expected(size: int, profile: StyleProfile) -> float:
    """The typical likeness of the largest calibrated size that is not above ``size``; 1 where there is none."""
    sizes = [known for known in profile.typical if known <= size]
    return max(profile.typical[max(sizes)], 0.01) if sizes else 1.0


def _length_fit(length: int, spread: Spread) -> float:
    """1 between p10 and p90; outside, the ratio to the nearer bound."""
    if length > spread.p90:
        return spread.p90 / length
    if length < spread.p10:
        return length / spread.p10
    return 1.0


def _spread(values: Sequence[int]) -> Spread:
    """Nearest-rank quantiles."""
    ranked = sorted(values)
    p10, p50, p90 = (float(ranked[max(0, math.ceil(q * len(ranked)) - 1)]) for q in (0.1, 0.5, 0.9))
    return Spread(p10=p10, p50=p50, p90=p90)


def _burst_lengths(messages: Iterable[Message]) -> list[int]:
    bursts: list[int] = []
    last: Message | None = None
    for message in messages:
        if message.role == "assistant" and message.text.strip():
            near = (
                last is not None
                and last.role == "assistant"
                and last.conversation == message.conversation
                and abs(message.timestamp - last.timestamp) <= BURST_GAP_SECONDS
            )
            if near and bursts:
                bursts[-1] += 1
            else:
                bursts.append(1)
        last = message
    return bursts


def _particle(text: str) -> str:
    """The particle a line ends on, or an empty string."""
    bare = _TRAILING.sub("", _STICKER.sub("", text))
    return bare[-1] if bare and bare[-1] in PARTICLES else ""


def _emoji(text: str) -> list[str]:
    return _EMOJI.findall(text) + _STICKER.findall(text)


def _ends_bare(text: str) -> bool:
    return text[-1] not in _MARKS + "～"


def _ngrams(texts: Iterable[str]) -> Counter[str]:
    """Character 1-3-grams within lines, white space removed, with ^ and $ for a line's start and end."""
    counts: Counter[str] = Counter()
    for text in texts:
        line = "^" + "".join(text.casefold().split()) + "$"
        counts.update(line[1:-1])
        for size in (2, 3):
            counts.update(line[i : i + size] for i in range(len(line) - size + 1))
    return counts


def _rates(counts: Counter[str], total: int, keep: int) -> dict[str, float]:
    """The commonest, by count then by code point, so that a profile is the same on every machine."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {key: round(count / total, 4) for key, count in ranked[:keep]}


def _shares(counts: Counter[str], keep: int) -> dict[str, float]:
    total = sum(counts.values())
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {key: round(count / total, 6) for key, count in ranked[:keep]}
