"""The graphs as LangGraph Studio opens them (`langgraph.json`): uncompiled builders over the memory of the settings.

Nothing is opened when Studio loads this file; the first node that runs opens the memory.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphs.persona.state import PersonaContext
    from graphs.qa.build import QaContext
    from ui.app import Services


def persona() -> Any:
    """Return the persona graph's builder: remember, recall, plan, generate, criticise, enforce, remember."""
    from graphs.persona.build import build_persona_graph

    return _without_context_schema(build_persona_graph(_persona_context))


def qa() -> Any:
    """Return the document graph's builder."""
    from graphs.qa.build import build_qa_graph

    return _without_context_schema(build_qa_graph(_qa_context))


def _without_context_schema(builder: Any) -> Any:
    """Let the nodes take their default context.

    Studio sends every run an empty context, and langgraph would make one of ours from it, which has no empty form.
    """
    builder.context_schema = None
    return builder


@lru_cache(maxsize=1)
def _services() -> Services:
    from cem_rag_app.settings import Settings
    from ui.app import Services

    return Services.from_settings(Settings())


def _persona_context() -> PersonaContext:
    return _services().chat.context


def _qa_context() -> QaContext:
    from graphs.qa.ask import context_for

    services = _services()
    return context_for(services.memory, services.settings)
