"""Names become encoders, cheaply; the language of a sample chooses one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cem_rag_app.cem.teachers.registry import choose_teacher, load_teacher
from cem_rag_app.errors import MissingKeyError, SettingsError


@pytest.mark.parametrize("name", ["embedded-zh", "minilm-en", "sentence-transformers:some/model"])
def test_an_encoder_has_the_name_it_was_asked_by(name: str) -> None:
    assert load_teacher(name).name == name


def test_sentence_transformers_alone_means_qwen3() -> None:
    assert load_teacher("sentence-transformers").name == "sentence-transformers:Qwen/Qwen3-Embedding-0.6B"


@pytest.mark.parametrize("name", ["", "word2vec", "embedded-zh:x"])
def test_an_unknown_name_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(SettingsError, match="embedded-zh, minilm-en"):
        load_teacher(name)


def test_gemini_without_a_key_is_refused() -> None:
    with pytest.raises(MissingKeyError, match="CEM_RAG_GOOGLE_API_KEY"):
        load_teacher("gemini")


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (["今晚吃什么？"], "embedded-zh"),
        (["What is for dinner?", "Soup."], "minilm-en"),
        (["ok 好的 see you at 火锅店"], "embedded-zh"),
        (["The word 道 (dao) has many translations in English, and none of them is right."], "minilm-en"),
        (["123 !!! 😀"], "minilm-en"),
        ([], "minilm-en"),
    ],
)
def test_a_noticeable_share_of_han_chooses_the_chinese_encoder(texts: list[str], name: str) -> None:
    assert choose_teacher(texts) == name


def test_constructing_every_encoder_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from cem_rag_app.cem.teachers.registry import load_teacher\n"
        "for name in ('embedded-zh', 'minilm-en', 'sentence-transformers', 'gemini'):\n"
        "    load_teacher(name, api_key='k')\n"
        "print([m for m in ('torch', 'transformers', 'numba', 'httpx', 'safetensors') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"
