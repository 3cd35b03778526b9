"""One question to a memory, one call."""

from __future__ import annotations

from functools import cache
from typing import Any

from cem_rag_app.settings import Settings
from graphs.qa.answer import Answer, Answerer, Citation
from graphs.qa.build import QaContext, QaMemory, build_qa_graph

__all__ = ["Answer", "Citation", "ask", "context_for"]

MOST_CHUNKS = 6
"""Chunks opened for a question at most: what an answer cites, a reader should be able to read."""


def ask(memory: QaMemory, question: str, settings: Settings) -> Answer:
    """Answer a question from a memory, citing the chunks it was answered from.

    Only the chunks in the answer's ``opened`` are decompressed.

    Args:
        memory: an open memory; of documents, or of a conversation.
        question: in any language the memory's encoder reads.
        settings: ``chat.model`` names who answers, ``recall.k`` bounds the chunks.

    Raises:
        InputError: the question is empty.
        MissingKeyError: the model needs a key that is not set.
        ChatModelError: the model failed or cited what it was not shown, twice.
    """
    result = _graph().invoke({"question": question}, context=context_for(memory, settings))
    answer: Answer = result["answer"]
    return answer


def context_for(memory: QaMemory, settings: Settings) -> QaContext:
    """Return a context over a memory with the answerer that the settings name."""
    return QaContext(memory, _answerer(memory, settings), k=min(settings.recall.k, MOST_CHUNKS))


def _answerer(memory: QaMemory, settings: Settings) -> Answerer:
    if settings.chat.model == "offline":
        from graphs.qa.extractive import ExtractiveAnswerer

        return ExtractiveAnswerer(_similarity(memory))
    from graphs.models import chat_model
    from graphs.qa.written import WrittenAnswerer

    model = chat_model(settings, "generate")
    return WrittenAnswerer(model, name=settings.chat.model, timeout_seconds=settings.chat.timeout_seconds)


def _similarity(memory: QaMemory) -> Any:
    """Cosine in the space of the memory's queries; None where the memory has no encoders and words must do."""
    encoders = getattr(memory, "encoders", None)
    if encoders is None:
        return None
    from graphs.persona.similarity import EncoderSimilarity

    return EncoderSimilarity(lambda texts: encoders().query.encode_queries(texts))  # noqa: PLW0108 - loads late


@cache
def _graph() -> Any:
    return build_qa_graph().compile()
