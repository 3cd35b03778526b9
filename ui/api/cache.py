"""Answers of popular searches, kept as the bytes that were sent, for as long as the collection stands still."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable

BYTES = 33_554_432
"""Bytes of answers kept at most: an answer may be long."""


class AnswerCache:
    """The least recently asked goes first; a write drops everything.

    Every answer belongs to a state of the collection, which the caller reads *before* it searches. An answer that was
    found while somebody wrote is filed under the older state, so it is never given to one who asks after that write.

    Args:
        entries: Answers kept at most; 0 keeps none.
        size: Bytes of answers kept at most.
    """

    def __init__(self, entries: int, size: int = BYTES) -> None:
        self._most = entries
        self._size = size
        self._lock = threading.Lock()
        self._state: Hashable = None
        self._answers: OrderedDict[Hashable, bytes] = OrderedDict()
        self._held = 0

    def __len__(self) -> int:
        """Answers kept."""
        return len(self._answers)

    def get(self, question: Hashable, state: Hashable) -> bytes | None:
        """Return the answer given in this very state of the collection, None when there is none."""
        with self._lock:
            self._enter(state)
            answer = self._answers.get(question)
            if answer is not None:
                self._answers.move_to_end(question)
            return answer

    def put(self, question: Hashable, state: Hashable, answer: bytes) -> None:
        """Keep an answer; one of an earlier state is not kept."""
        with self._lock:
            if state != self._state or question in self._answers:
                return
            self._answers[question] = answer
            self._held += len(answer)
            while self._answers and (len(self._answers) > self._most or self._held > self._size):
                self._held -= len(self._answers.popitem(last=False)[1])

    def _enter(self, state: Hashable) -> None:
        if state != self._state:
            self._answers.clear()
            self._held = 0
            self._state = state
