"""Requests in flight are answered together: while one batch is searched, the next one gathers by itself."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Batcher(Generic[Question, Answer]):
    """Hands the questions of many threads to one function, several at a time; no question waits for company.

    A thread that asks takes a turn. Whoever has the turn answers everything that waits, up to ``most``; whoever comes
    meanwhile waits and finds either its answer or the turn. There is no thread of its own and no clock.

    Args:
        answer_many: Answers questions in their order.
        most: Questions in one batch at most.
        turns: Batches answered side by side, so that one long question does not hold up all others.
        on_batch: Told the size of each batch.
    """

    def __init__(
        self,
        answer_many: Callable[[Sequence[Question]], Sequence[Answer]],
        *,
        most: int,
        turns: int = 2,
        on_batch: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._answer_many = answer_many
        self._most = most
        self._on_batch = on_batch
        self._turns = threading.Semaphore(turns)
        self._waiting: deque[tuple[Question, Future[Answer]]] = deque()

    def ask(self, question: Question) -> Answer:
        """Return the answer, or raise what answering this one question raised."""
        answer: Future[Answer] = Future()
        self._waiting.append((question, answer))
        with self._turns:
            # Another thread may have taken this question along; then there is nothing to do but what came since.
            while not (answer.running() or answer.done()):
                self._answer(self._take())
        return answer.result()

    def _take(self) -> list[tuple[Question, Future[Answer]]]:
        taken = []
        while len(taken) < self._most:
            try:
                taken.append(self._waiting.popleft())
            except IndexError:
                break
            taken[-1][1].set_running_or_notify_cancel()
        return taken

    def _answer(self, batch: list[tuple[Question, Future[Answer]]]) -> None:
        if not batch:
            return
        self._on_batch(len(batch))
        try:
            found = list(zip(batch, self._answer_many([question for question, _ in batch]), strict=True))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            for one in batch:  # a question that cannot be answered spoils no other
                self._answer([one])
            return
        for (_, waiting), answer in found:
            waiting.set_result(answer)
