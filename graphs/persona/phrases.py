"""The few words that are not learned: neutral lines of last resort and frames to give a user their own words back.

They stand in ``phrases.zh.json`` beside this module and can be edited there.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib import resources

from pydantic import BaseModel, ConfigDict


class Phrases(BaseModel):
    """What ``phrases.zh.json`` holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    neutral: tuple[str, ...]
    """Said when not one line of the person's own obeys the rules."""
    unsure: tuple[str, ...]
    """Marks of a line that admits not knowing; the lines themselves are the person's."""
    unsure_fallback: tuple[str, ...]
    """Said when the person never admitted not knowing anything."""
    echo_openings: tuple[str, ...]
    """Openings that give the user their own words back; one the person uses is preferred."""
    echo_endings: tuple[str, ...]
    distress: tuple[str, ...]
    """Words of someone who is not well."""
    grave: tuple[str, ...]
    """Words of someone who speaks of death or sees no sense: only comfort answers them."""
    joy: tuple[str, ...]
    """Words of someone who has good news."""
    laughs: tuple[str, ...]
    reactions: dict[str, tuple[str, ...]]
    """By mood, patterns of lines that only react: one of them fits whatever was said in that mood."""
    surprise: tuple[str, ...]
    """How a line begins that is only surprised: it answers news, not everything."""
    acknowledgements: tuple[str, ...]
    comfort: tuple[str, ...]
    accepted: tuple[str, ...]
    declined: tuple[str, ...]
    well: tuple[str, ...]
    """Said where the person's own words have nothing that fits: to a statement, to someone in a dark hour, to a
    proposal, to a wish that needs a writer, and when asked how one is."""
    celebrations: tuple[str, ...]
    """What nobody says to someone who is not well."""


@cache
def _reactions(mood: str) -> re.Pattern[str]:
    marks = r"[\s~～。！!？?…，,宝贝]*"
    return re.compile(rf"{marks}(?:(?:{'|'.join(phrases().reactions[mood])}){marks})+", re.IGNORECASE)


@lru_cache(maxsize=16_384)
def reacts(text: str, mood: str = "") -> bool:
    """Whether a bubble only reacts: it fits whatever was said in that mood."""
    return _reactions(mood).fullmatch(text) is not None


@cache
def phrases() -> Phrases:
    """The phrases that ship with the package."""
    text = resources.files("graphs.persona").joinpath("phrases.zh.json").read_text("utf-8")
    return Phrases.model_validate_json(text)
