"""A folder that transformers can load is a chat model."""

from __future__ import annotations

from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage, SystemMessage

from cem_rag_app.errors import ChatModelError, ModelError
from cem_rag_app.settings import ChatSettings, Settings
from graphs.calls import call_model
from graphs.models import chat_model

TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def _save_tiny_model(folder: Path, template: str | None) -> None:
    """A Llama of one layer with random weights and a tokenizer of single characters."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary = {"<unk>": 0, "</s>": 1} | {chr(code): code - 30 for code in range(32, 127)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>")
    fast.chat_template = template
    fast.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=512,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def _settings(folder: Path) -> Settings:
    return Settings(chat=ChatSettings(model=f"local:{folder}"), _env_file=None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    _save_tiny_model(path, TEMPLATE)
    return path


def test_a_local_folder_answers_through_its_own_chat_template(folder: Path) -> None:
    model = chat_model(_settings(folder), "generate")
    model.max_new_tokens = 5  # type: ignore[attr-defined]
    message = call_model(model, [SystemMessage("be short"), HumanMessage("hello")], timeout_seconds=60.0)
    asked = len("<system>be short<user>hello<assistant>")
    assert message.usage_metadata["input_tokens"] == asked
    assert 1 <= message.usage_metadata["output_tokens"] <= 5
    assert isinstance(message.content, str)


def test_a_prompt_longer_than_the_model_reads_is_told(folder: Path) -> None:
    with pytest.raises(ChatModelError, match="reads 512"):
        call_model(chat_model(_settings(folder), "generate"), "x" * 600, timeout_seconds=60.0)


def test_a_tokenizer_without_a_chat_template_is_told(tmp_path: Path) -> None:
    _save_tiny_model(tmp_path, None)
    with pytest.raises(ModelError, match="no chat template"):
        call_model(chat_model(_settings(tmp_path), "generate"), "hello", timeout_seconds=60.0)
