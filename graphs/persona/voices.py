"""Which voice a setting names."""

from __future__ import annotations

from cem_rag_app.settings import Settings
from graphs.persona.state import PersonaMemory
from graphs.persona.voice import Voice


def voice_for(memory: PersonaMemory, settings: Settings) -> Voice:
    """The voice that ``settings.chat.model`` names.

    Args:
        memory: Where the offline voice learns.
        settings: All settings.

    Raises:
        MissingKeyError: The model needs a key that is not set.
        MissingDependencyError: The model's package is not installed.
        SettingsError: The model's name cannot be understood.
    """
    if settings.chat.model == "offline":
        from graphs.persona.offline import OfflineVoice

        return OfflineVoice(memory)
    from graphs.models import chat_model
    from graphs.persona.llm import ModelVoice

    planner, generator = chat_model(settings, "plan"), chat_model(settings, "generate")
    return ModelVoice(planner, generator, planner, name=settings.chat.model, timeout=settings.chat.timeout_seconds)
