"""The persona graph's builder. It is exported uncompiled: chat, Studio and tests compile it as they need."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from time import perf_counter
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from cem_rag_app.errors import SettingsError
from graphs.persona import nodes
from graphs.persona.state import PersonaContext, PersonaState, TurnRequest, TurnResult

Step = Callable[[PersonaState, PersonaContext], dict[str, Any]]


def build_persona_graph(
    default_context: Callable[[], PersonaContext] | None = None,
) -> StateGraph[PersonaState, PersonaContext, TurnRequest, TurnResult]:
    """The graph of one turn.

    Args:
        default_context: Makes the context when a caller gives none (Studio cannot); called once, at the first turn.

    Returns:
        An uncompiled builder: ``remember_message → recall → plan → generate → criticise → enforce → remember_reply``.
        A turn whose reply is already on record goes from ``remember_message`` straight to ``remember_reply``.
    """
    context_of = cache(default_context) if default_context is not None else _no_context
    builder = StateGraph(
        PersonaState, context_schema=PersonaContext, input_schema=TurnRequest, output_schema=TurnResult
    )
    steps = (
        nodes.remember_message,
        nodes.recall,
        nodes.plan,
        nodes.generate,
        nodes.criticise,
        nodes.enforce,
        nodes.remember_reply,
    )
    for step in steps:
        builder.add_node(step.__name__, _node(step, context_of))
    builder.add_edge(START, "remember_message")
    builder.add_conditional_edges("remember_message", _after_message, ["recall", "remember_reply"])
    for earlier, later in pairwise(steps[1:]):
        builder.add_edge(earlier.__name__, later.__name__)
    builder.add_edge("remember_reply", END)
    return builder


def _after_message(state: PersonaState) -> str:
    return "remember_reply" if "record" in state else "recall"


def _no_context() -> PersonaContext:
    raise SettingsError(
        "The persona graph was run without a context.", remedy="Call it with context=PersonaContext.of(…)."
    )


def _node(step: Step, context_of: Callable[[], PersonaContext]) -> Callable[..., dict[str, Any]]:
    def node(state: PersonaState, runtime: Runtime[PersonaContext]) -> dict[str, Any]:
        started = perf_counter()
        # langgraph hands over None when invoke() was called without context=.
        update = step(state, runtime.context or context_of())
        return {**update, "timings": {step.__name__: perf_counter() - started}}

    node.__name__ = step.__name__
    return node
