"""Every text encoder keeps the same promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cem_rag_app.cem.teachers.base import IdentifiedEncoder, TextEncoder
from cem_rag_app.cem.teachers.registry import load_teacher
from tests.fakes.embedding_server import EmbeddingServer
from tests.fakes.tiny_model import save_tiny_model

TEXTS = [
    "我喜欢吃火锅",
    "a",
    "The boundary layer over a flat plate grows with the square root of distance. " * 6,
    "",
    "好",
    "\U0001f600 ok \ud800".encode("utf-8", "replace").decode(),
    "你好 " * 200,
]


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(
    params=[
        "embedded-zh",
        "minilm-en",
        "sentence-transformers",
        pytest.param("gemini", marks=pytest.mark.enable_socket),
    ]
)
def encoder(request: pytest.FixtureRequest, tiny_model: Path) -> Iterator[TextEncoder]:
    if request.param == "gemini":
        with EmbeddingServer() as server:
            yield load_teacher("gemini", api_key="secret", base_url=server.url)
    elif request.param == "sentence-transformers":
        yield load_teacher(f"sentence-transformers:{tiny_model}")
    else:
        yield load_teacher(request.param)


def test_it_says_who_it_is(encoder: TextEncoder) -> None:
    assert isinstance(encoder, IdentifiedEncoder)
    assert encoder.name and encoder.revision and encoder.pooling
    assert encoder.dimension > 0


@pytest.mark.parametrize("side", ["encode_queries", "encode_documents"])
def test_rows_are_float32_of_its_dimension_and_length_one(encoder: TextEncoder, side: str) -> None:
    vectors = getattr(encoder, side)(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), encoder.dimension)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("side", ["encode_queries", "encode_documents"])
def test_a_vector_does_not_depend_on_its_batch_mates(encoder: TextEncoder, side: str) -> None:
    together = getattr(encoder, side)(TEXTS)
    alone = np.concatenate([getattr(encoder, side)([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_rows_come_back_in_the_order_of_the_texts(encoder: TextEncoder) -> None:
    forward = encoder.encode_documents(TEXTS)
    backward = encoder.encode_documents(TEXTS[::-1])
    np.testing.assert_allclose(forward, backward[::-1], atol=1e-5)


def test_the_same_text_has_the_same_vector_again(encoder: TextEncoder) -> None:
    np.testing.assert_array_equal(encoder.encode_documents(TEXTS), encoder.encode_documents(TEXTS))


def test_different_texts_have_different_vectors(encoder: TextEncoder) -> None:
    first, second = encoder.encode_documents(["我喜欢吃火锅 apple", "你好 banana boat"])
    assert first @ second < 0.999


def test_no_texts_make_no_rows(encoder: TextEncoder) -> None:
    assert encoder.encode_queries([]).shape == (0, encoder.dimension)
    assert encoder.encode_documents([]).shape == (0, encoder.dimension)


def test_it_does_not_change_the_texts_it_is_given(encoder: TextEncoder) -> None:
    texts = list(TEXTS)
    encoder.encode_documents(texts)
    assert texts == TEXTS
