"""Answers that were just given, kept for as long as what they were drawn from stays as it is."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

State = TypeVar("State", bound=Hashable)
Answer = TypeVar("Answer")


class Recent(Generic[State, Answer]):
    """The least recently used answer makes room first, and all of them when the state moves on; thread-safe.

    Args:
        largest: what the answers may cost together; one that costs more is not kept.
    """

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._lock = threading.Lock()
        self._state: State | None = None
        self._answers: OrderedDict[str, tuple[Answer, int]] = OrderedDict()
        self._cost = 0

    def get(self, state: State, question: str) -> Answer | None:
        """The answer given in this very state, None when there is none."""
        with self._lock:
            if state != self._state or question not in self._answers:
                return None
            self._answers.move_to_end(question)
            return self._answers[question][0]

    def put(self, state: State, question: str, answer: Answer, cost: int) -> None:
        """Keep an answer."""
        with self._lock:
            if state != self._state:
                self._answers.clear()
                self._state, self._cost = state, 0
            if cost > self._largest or question in self._answers:
                return
            self._answers[question] = (answer, cost)
            self._cost += cost
            while self._cost > self._largest:
                _, (_, freed) = self._answers.popitem(last=False)
                self._cost -= freed
