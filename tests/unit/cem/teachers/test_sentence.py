"""A sentence-transformers folder is read with mean pooling under the mask, and its own query prompt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from cem_rag_app.cem.teachers.sentence import SentenceEncoder
from cem_rag_app.errors import ModelError
from tests.fakes.tiny_model import save_tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("tiny"), query_prompt="a: ")


def by_hand(folder: Path, text: str) -> np.ndarray:
    tokens = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.inference_mode():
        hidden = AutoModel.from_pretrained(folder).eval()(**tokens).last_hidden_state[0].numpy()
    mean = hidden.mean(axis=0)
    return mean / np.linalg.norm(mean)


def test_a_vector_is_the_normalised_mean_of_the_last_hidden_states(folder: Path) -> None:
    vectors = SentenceEncoder(str(folder)).encode_documents(["我好", "apple pie and a cake"])
    np.testing.assert_allclose(vectors[0], by_hand(folder, "我好"), atol=1e-5)
    np.testing.assert_allclose(vectors[1], by_hand(folder, "apple pie and a cake"), atol=1e-5)


def test_a_question_gets_the_prompt_of_the_model(folder: Path) -> None:
    vector = SentenceEncoder(str(folder)).encode_queries(["apple"])[0]
    np.testing.assert_allclose(vector, by_hand(folder, "a: apple"), atol=1e-5)


def test_a_model_without_prompts_reads_questions_as_documents(tmp_path: Path) -> None:
    encoder = SentenceEncoder(str(save_tiny_model(tmp_path / "plain")))
    np.testing.assert_array_equal(encoder.encode_queries(["apple"]), encoder.encode_documents(["apple"]))


def test_the_dimension_comes_from_the_model(folder: Path) -> None:
    assert SentenceEncoder(str(folder)).dimension == 32


def test_other_weights_are_another_revision(folder: Path, tmp_path: Path) -> None:
    other = save_tiny_model(tmp_path / "other", seed=8)
    assert SentenceEncoder(str(folder)).revision != SentenceEncoder(str(other)).revision


def test_a_folder_without_a_model_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=tmp_path.name):
        SentenceEncoder(str(tmp_path)).encode_documents(["x"])
    with pytest.raises(ModelError, match="cannot be loaded"):
        _ = SentenceEncoder(str(tmp_path)).dimension
