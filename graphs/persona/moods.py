"""What somebody feels who writes a line, as far as its words show it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from graphs.persona.phrases import phrases

SAD = frozenset({"distress", "grave"})


@lru_cache(maxsize=16_384)
def mood_of(text: str) -> str:
    """What someone feels who writes this: grave, distress, joy, laugh, or nothing that shows."""
    words = phrases()
    text = text.casefold()
    if any(word in text for word in words.grave):
        return "grave"
    if any(word in text for word in words.distress):
        return "distress"
    if any(word in text for word in words.joy):
        return "joy"
    return "laugh" if any(word in text for word in words.laughs) else ""


def celebrates(bubbles: Sequence[str]) -> bool:
    """Whether somebody laughs or cheers."""
    text = "".join(bubbles)
    return any(word in text for word in (*phrases().laughs, *phrases().celebrations))
