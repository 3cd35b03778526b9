"""A setting names a chat model; what it lacks is said in words, and no key is ever among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cem_rag_app.errors import MissingDependencyError, MissingKeyError, ModelError, SettingsError
from cem_rag_app.settings import ChatSettings, Settings
from graphs.local import TransformersChat
from graphs.models import chat_model

KEY = "AIzaSyTestKeyThatMustNeverBeShown1234567"


def _settings(model: str, **more: object) -> Settings:
    return Settings(chat=ChatSettings(model=model), _env_file=None, **more)  # type: ignore[call-arg]


def test_gemini_plans_with_pro_and_writes_with_flash() -> None:
    settings = _settings("gemini", google_api_key=KEY)
    assert chat_model(settings, "plan").model == "gemini-3.1-pro-preview"  # type: ignore[attr-defined]
    assert chat_model(settings, "generate").model == "gemini-3.8-flash"  # type: ignore[attr-defined]


def test_gemini_leaves_the_temperature_to_the_model_even_to_an_older_one() -> None:
    settings = Settings(
        chat=ChatSettings(model="gemini", generator_model="gemini-2.5-flash"), google_api_key=KEY, _env_file=None
    )
    assert chat_model(settings, "generate").temperature is None  # type: ignore[attr-defined]


@pytest.mark.parametrize("key", [None, ""])
def test_gemini_without_a_key_says_which_variable_to_set(key: str | None) -> None:
    with pytest.raises(MissingKeyError, match="CEM_RAG_GOOGLE_API_KEY"):
        chat_model(_settings("gemini", google_api_key=key), "plan")


def test_the_key_is_not_in_the_models_representation() -> None:
    assert KEY not in repr(chat_model(_settings("gemini", google_api_key=KEY), "plan"))


def test_the_offline_voice_is_no_chat_model() -> None:
    with pytest.raises(SettingsError, match="offline voice"):
        chat_model(_settings("offline"), "plan")


def test_a_local_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        chat_model(_settings(f"local:{tmp_path}"), "plan")


def test_a_local_folder_is_not_loaded_before_the_first_call(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("not even JSON")
    model = chat_model(_settings(f"local:{tmp_path}"), "generate")
    assert isinstance(model, TransformersChat)
    with pytest.raises(ModelError, match="cannot be loaded"):
        model.invoke("你好")


def test_a_provider_whose_package_is_missing_is_named() -> None:
    with pytest.raises(MissingDependencyError, match="langchain-mistralai"):
        chat_model(_settings("mistralai:mistral-large"), "plan")


def test_a_name_nobody_knows_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(SettingsError, match="local:PATH"):
        chat_model(_settings("no-such-model"), "plan")
