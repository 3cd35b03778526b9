"""What an import took, and what it left out and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class HistoryReport:
    """Filled by ``read_history`` before it gives the first message."""

    taken: int = 0
    """Messages that come out."""
    persona_messages: int = 0
    """Those among them the person wrote."""
    conversations: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    """Reason -> rows left out."""
    repaired: Counter[str] = field(default_factory=Counter)
    """What was mended inside messages that were taken -> messages."""
    encodings: Counter[str] = field(default_factory=Counter)
    """Encoding -> lines."""
    speakers: Counter[str] = field(default_factory=Counter)
    """Name -> rows with a text, of the whole file."""
    reordered: bool = False
    """The file was not in order of time, conversation by conversation; the messages are."""
    synthetic_times: bool = False
    """The file has no times; messages got one a minute."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "taken": self.taken,
            "persona_messages": self.persona_messages,
            "conversations": self.conversations,
            "skipped": dict(self.skipped),
            "repaired": dict(self.repaired),
            "encodings": dict(self.encodings),
            "speakers": len(self.speakers),
            "reordered": self.reordered,
            "synthetic_times": self.synthetic_times,
        }

    def summary(self) -> list[str]:
        """Lines for a person."""
        lines = [
            f"{self.taken} messages in {self.conversations} conversations, {self.persona_messages} by the person",
            *(f"skipped {count}: {reason}" for reason, count in self.skipped.most_common()),
            *(f"mended {count}: {what}" for what, count in self.repaired.most_common()),
        ]
        if self.reordered:
            lines.append("the file was not in order of time and has been sorted")
        if self.synthetic_times:
            lines.append("the file has no times; messages are set one minute apart, conversations one day")
        return lines
