"""Which chat model a setting names. Packages are imported here, when one is asked for, and never at import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cem_rag_app.errors import MissingDependencyError, MissingKeyError, ModelError, SettingsError
from cem_rag_app.settings import Settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

Purpose = Literal["plan", "generate"]


def chat_model(settings: Settings, purpose: Purpose) -> BaseChatModel:
    """The chat model for one purpose.

    Args:
        settings: ``chat.model`` names it: ``gemini`` (Pro plans and criticises, Flash generates), ``local:PATH`` (a
            folder that transformers can load) or any string that LangChain's ``init_chat_model`` takes.
        purpose: What it is for.

    Returns:
        A model that makes one attempt a call and gives up after ``chat.timeout_seconds``; retries are
        :func:`graphs.calls.call_model`'s, which honours Retry-After. Temperature is left to the model.

    Raises:
        MissingKeyError: The model needs a key that is not set.
        MissingDependencyError: The model's package is not installed.
        ModelError: A local model's folder is not there.
        SettingsError: The name cannot be understood, or is ``offline``, which is no chat model.
    """
    name = settings.chat.model
    if name == "offline":
        raise SettingsError(
            "The offline voice is no chat model.",
            remedy="Set CEM_RAG_CHAT__MODEL to `gemini`, `local:PATH` or a LangChain model string.",
        )
    if name == "gemini":
        return _gemini(settings, purpose)
    if name.startswith("local:"):
        return _local(settings, Path(name.removeprefix("local:")).expanduser())
    return _init_chat_model(settings, name)


def _gemini(settings: Settings, purpose: Purpose) -> BaseChatModel:
    if settings.google_api_key is None or not settings.google_api_key.get_secret_value():
        raise MissingKeyError(
            "Gemini needs an API key.",
            remedy="Set CEM_RAG_GOOGLE_API_KEY, or CEM_RAG_CHAT__MODEL=offline to chat without a model.",
        )
    try:
        from langchain_google_genai import ChatGoogleGenerativeAI
    except ImportError as error:
        raise MissingDependencyError(
            "The Gemini packages are not installed.", remedy="Install them: pip install 'cem-rag[gemini]'."
        ) from error
    return ChatGoogleGenerativeAI(
        model=settings.chat.planner_model if purpose == "plan" else settings.chat.generator_model,
        google_api_key=settings.google_api_key,
        base_url=settings.google_base_url,
        # None leaves the choice to the model; left out, the wrapper would send its own 0.7 to older ones.
        temperature=None,
        timeout=settings.chat.timeout_seconds,
        max_retries=1,  # attempts in all, the first one included
    )


def _local(settings: Settings, path: Path) -> BaseChatModel:
    if not (path / "config.json").is_file():
        raise ModelError(
            f"{path} is not a folder with a transformers model (no config.json).",
            remedy="Give the folder that holds config.json, the weights and the tokenizer: local:/path/to/model.",
        )
    from graphs.local import TransformersChat

    return TransformersChat(path=path, device=settings.device, max_seconds=settings.chat.timeout_seconds)


def _init_chat_model(settings: Settings, name: str) -> BaseChatModel:
    from langchain.chat_models import init_chat_model

    remedy = "Use `offline`, `gemini`, `local:PATH` or PROVIDER:MODEL as LangChain's init_chat_model takes it."
    try:
        model: BaseChatModel = init_chat_model(name, timeout=settings.chat.timeout_seconds, max_retries=0)
    except ImportError as error:
        raise MissingDependencyError(f"The package for {name!r} is not installed: {error}") from error
    except ValueError as error:
        raise SettingsError(f"The chat model {name!r} cannot be understood: {error}", remedy=remedy) from error
    except Exception as error:  # each provider has a class of its own for a missing key; all are mapped here
        if "key" in str(error).lower():
            raise MissingKeyError(
                f"The chat model {name!r} needs an API key.", remedy="Set the provider's own environment variable."
            ) from None  # a provider may quote part of a wrong key
        raise SettingsError(f"The chat model {name!r} cannot be set up: {error}", remedy=remedy) from error
    return model
