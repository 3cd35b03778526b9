"""The question graph's builder, exported uncompiled: the command, Studio and tests compile it as they need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from cem_rag_app.errors import InputError, SettingsError
from cem_rag_app.schema import Hit, Query
from graphs.qa.answer import Answer, Answerer, opened_chunks


class QaMemory(Protocol):
    """What the graph asks of a memory; :class:`stores.memory.Memory` gives it."""

    def recall(self, query: Query) -> list[Hit]:
        """The memories nearest to a query, best first; only these are opened."""
        ...


@dataclass(frozen=True, slots=True)
class QaContext:
    """What the nodes are given."""

    memory: QaMemory
    answerer: Answerer
    k: int = 6
    """Chunks opened for one question."""


class QaRequest(TypedDict):
    """What is asked."""

    question: str


class QaState(QaRequest, total=False):
    """What the nodes hand to one another."""

    hits: tuple[Hit, ...]
    answer: Answer


class QaResult(TypedDict, total=False):
    """What a finished question gives back."""

    answer: Answer


def build_qa_graph(
    default_context: Callable[[], QaContext] | None = None,
) -> StateGraph[QaState, QaContext, QaRequest, QaResult]:
    """The graph of one question: ``retrieve → answer``.

    Args:
        default_context: makes the context when a caller gives none (Studio cannot); called once, at the first
            question.

    Returns:
        An uncompiled builder.
    """
    context_of = cache(default_context) if default_context is not None else _no_context

    def retrieve(state: QaState, runtime: Runtime[QaContext]) -> dict[str, Any]:
        # langgraph hands over None when invoke() was called without context=.
        context = runtime.context or context_of()
        question = state["question"].strip()
        if not question:
            raise InputError("The question is empty.", remedy="Ask something.")
        return {"hits": tuple(context.memory.recall(Query(question, k=context.k)))}

    def answer(state: QaState, runtime: Runtime[QaContext]) -> dict[str, Any]:
        context = runtime.context or context_of()
        written = context.answerer.answer(state["question"].strip(), state["hits"])
        return {"answer": replace(written, opened=opened_chunks(state["hits"]))}

    builder = StateGraph(QaState, context_schema=QaContext, input_schema=QaRequest, output_schema=QaResult)
    builder.add_node("retrieve", retrieve)
    builder.add_node("write_answer", answer)
    builder.add_edge(START, "retrieve")
    builder.add_edge("retrieve", "write_answer")
    builder.add_edge("write_answer", END)
    return builder


def _no_context() -> QaContext:
    raise SettingsError(
        "The question graph was run without a context.", remedy="Call it with context=QaContext(memory, answerer)."
    )
