"""Gemini's embeddings, spoken over a real socket to a server on this machine."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest

from cem_rag_app.cem.teachers.gemini import GeminiEncoder
from cem_rag_app.errors import DimensionError, MissingKeyError, ModelError
from tests.fakes.embedding_server import EmbeddingServer

KEY = "AIza-very-secret"
BUSY = (429, {"Retry-After": "7"}, b'{"error": {"message": "quota"}}')
BROKEN = (503, {}, b"")

pytestmark = pytest.mark.enable_socket


def encoder(server: EmbeddingServer, waits: list[float] | None = None) -> GeminiEncoder:
    return GeminiEncoder(api_key=KEY, base_url=server.url, wait=(waits if waits is not None else []).append)


def test_a_key_is_needed() -> None:
    with pytest.raises(MissingKeyError, match="embedded-zh"):
        GeminiEncoder(api_key=None)
    with pytest.raises(MissingKeyError):
        GeminiEncoder(api_key="")


def test_questions_and_documents_are_sent_with_their_task_types() -> None:
    with EmbeddingServer() as server:
        question = encoder(server).encode_queries(["你好"])[0]
        document = encoder(server).encode_documents(["你好"])[0]
        expected = np.array(server.vector("你好", "RETRIEVAL_QUERY"))
        np.testing.assert_allclose(question, expected / np.linalg.norm(expected), atol=1e-6)
        assert not np.allclose(question, document)
        path, key, body = server.requests[0]
        assert path == "/v1beta/models/gemini-embedding-001:batchEmbedContents"
        assert key == KEY
        assert body["requests"][0] == {
            "model": "models/gemini-embedding-001",
            "content": {"parts": [{"text": "你好"}], "role": "user"},
            "taskType": "RETRIEVAL_QUERY",
            "outputDimensionality": 3072,
        }


def test_at_most_a_hundred_texts_travel_in_one_request() -> None:
    texts = [f"文本{number}" for number in range(230)]
    with EmbeddingServer() as server:
        vectors = encoder(server).encode_documents(texts)
        assert [len(body["requests"]) for _, _, body in server.requests] == [100, 100, 30]
        last = np.array(server.vector(texts[229], "RETRIEVAL_DOCUMENT"))
        np.testing.assert_allclose(vectors[229], last / np.linalg.norm(last), atol=1e-6)


def test_a_busy_service_is_asked_again_after_the_time_it_names() -> None:
    waits: list[float] = []
    with EmbeddingServer(BUSY, BROKEN) as server:
        assert encoder(server, waits).encode_queries(["x"]).shape == (1, 3072)
        assert len(server.requests) == 3
    assert waits[0] == 7.0
    assert 1.0 <= waits[1] <= 2.0


def test_it_gives_up_after_five_attempts_and_never_waits_long() -> None:
    waits: list[float] = []
    slow = (429, {"Retry-After": "86400"}, b'{"error": {"message": "daily quota"}}')
    with EmbeddingServer(*[slow] * 9) as server:
        with pytest.raises(ModelError, match="429: daily quota"):
            encoder(server, waits).encode_queries(["x"])
        assert len(server.requests) == 5
    assert waits == [30.0] * 4


def test_a_refusal_is_not_asked_again_and_quotes_no_key(caplog: pytest.LogCaptureFixture) -> None:
    body = json.dumps({"error": {"message": f"API key {KEY} is not valid"}}).encode()
    with caplog.at_level(logging.DEBUG), EmbeddingServer((400, {}, body)) as server:
        teacher = encoder(server)
        with pytest.raises(ModelError, match=r"400: API key \[key\] is not valid") as caught:
            teacher.encode_queries(["x"])
        assert len(server.requests) == 1
    assert KEY not in str(caught.value) + repr(teacher) + caplog.text


def test_an_unreachable_service_is_a_named_error() -> None:
    with EmbeddingServer() as server:
        address = server.url
    waits: list[float] = []
    with pytest.raises(ModelError, match=r"could not be reached \(ConnectError\)"):
        GeminiEncoder(api_key=KEY, base_url=address, wait=waits.append).encode_queries(["x"])
    assert len(waits) == 4


def test_vectors_of_another_size_are_refused() -> None:
    with EmbeddingServer(dimension=768) as server, pytest.raises(DimensionError, match="768"):
        encoder(server).encode_queries(["x"])


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"embeddings": [{}]}', b"[]"])
def test_an_answer_that_is_no_list_of_embeddings_is_refused(body: bytes) -> None:
    with EmbeddingServer((200, {}, body)) as server, pytest.raises(ModelError, match="CEM_RAG_GOOGLE_BASE_URL"):
        encoder(server).encode_queries(["x"])
