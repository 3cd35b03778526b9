"""The answerer of a chat model: every citation it makes is held against the chunks it was shown."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from cem_rag_app.errors import ChatModelError
from cem_rag_app.schema import Hit
from graphs.calls import call_model
from graphs.qa.answer import Answer, citations_of, cited_numbers, passage_of
from prompts.loader import load_prompt

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

ATTEMPTS = 2


class Draft(BaseModel):
    """An answer as a model writes it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    found: bool = Field(description="Whether the passages answer the question.")
    answer: str = Field(min_length=1, description="The answer, with the passages' numbers in brackets, e.g. [1].")


class WrittenAnswerer:
    """Asks one chat model, and once more when its answer cannot be read or cites what it was not shown.

    Args:
        model: any LangChain chat model.
        name: what to call it.
        timeout_seconds: for one answer in all.
    """

    offline = False

    def __init__(self, model: BaseChatModel, *, name: str = "model", timeout_seconds: float = 60.0) -> None:
        self.name = name
        self._model = model
        self._timeout = timeout_seconds

    def answer(self, question: str, hits: Sequence[Hit]) -> Answer:
        """Answer from the hits.

        Raises:
            ChatModelError: the model failed, or twice gave no answer with valid citations.
        """
        from graphs.persona.answers import content_of, read_answer, refusal_of

        prompt = load_prompt("qa/answer")
        text = prompt.render(
            question=question, passages=[passage_of(hit) for hit in hits], nonce=secrets.token_hex(8), count=len(hits)
        )
        deadline = time.monotonic() + self._timeout
        problem = ""
        for _ in range(ATTEMPTS):
            again = f"\nYour last output was refused ({problem}). Give one complete JSON object." if problem else ""
            message = call_model(self._model, text + again, timeout_seconds=deadline - time.monotonic())
            if refusal := refusal_of(message):
                raise ChatModelError(f"The chat model declined to answer ({refusal}).", remedy="Ask in other words.")
            draft = read_answer(content_of(message), Draft)
            problem = draft if isinstance(draft, str) else _fault(draft, len(hits))
            if isinstance(draft, Draft) and not problem:
                return Answer(draft.answer, citations_of(draft.answer, hits) if draft.found else (), self.offline)
        raise ChatModelError(
            f"The chat model gave no answer with valid citations, twice: {problem}.",
            remedy="Try again, choose another model, or CEM_RAG_CHAT__MODEL=offline.",
        )


def _fault(draft: Draft, count: int) -> str:
    """Say what is wrong with a draft's citations; empty when nothing is."""
    numbers = cited_numbers(draft.answer)
    foreign = [number for number in numbers if not 1 <= number <= count]
    if foreign:
        return f"it cites {foreign}, and the passages are numbered 1 to {count}"
    if draft.found and not numbers:
        return "it cites no passage"
    return ""
