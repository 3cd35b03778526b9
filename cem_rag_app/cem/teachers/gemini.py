"""Gemini's text embeddings (``gemini-embedding-001``, 3072-d) over its REST interface.

Questions and passages are sent with their own task types, at most 100 texts a request, and rows are normalised here.
The key travels in a header and appears in no message: an error quotes the status and what the service said of it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cem_rag_app.cem.teachers.base import unit_rows
from cem_rag_app.errors import DimensionError, MissingKeyError, ModelError
from cem_rag_app.schema import FloatArray

if TYPE_CHECKING:
    import httpx

_ADDRESS = "https://generativelanguage.googleapis.com"
_BATCH = 100
_ATTEMPTS = 5
_LONGEST_WAIT = 30.0
_TOO_MANY = 429


class GeminiEncoder:
    """Text to 3072-d unit vectors of ``gemini-embedding-001``.

    Args:
        api_key: the key; without one nothing is constructed.
        base_url: another address of the same interface.
        model: the embedding model; another model is another space, and so another ``revision``.
        timeout: seconds a request may take.
        wait: how to pause between attempts (seconds); given by tests.

    Raises:
        MissingKeyError: no key.
    """

    name = "gemini"
    dimension = 3072

    def __init__(
        self,
        *,
        api_key: str | None,
        base_url: str | None = None,
        model: str = "gemini-embedding-001",
        timeout: float = 60.0,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        if not api_key:
            raise MissingKeyError(
                "The Gemini encoder needs an API key.",
                remedy="Set CEM_RAG_GOOGLE_API_KEY, or choose another encoder: embedded-zh or minilm-en need none.",
            )
        self.__key = api_key
        self._url = f"{(base_url or _ADDRESS).rstrip('/')}/v1beta/models/{model}:batchEmbedContents"
        self._model = model
        self._timeout = timeout
        self._wait = wait

    def __repr__(self) -> str:
        return f"GeminiEncoder(model={self._model!r})"

    @property
    def revision(self) -> str:
        """The model's name: the service shows no fingerprint of its weights."""
        return self._model

    @property
    def pooling(self) -> str:
        """Done by the service."""
        return "service, 3072"

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Encode questions (``RETRIEVAL_QUERY``): ``(n, 3072)`` float32, unit rows."""
        return self._encode(texts, "RETRIEVAL_QUERY")

    def encode_documents(self, texts: Sequence[str]) -> FloatArray:
        """Encode passages (``RETRIEVAL_DOCUMENT``): ``(n, 3072)`` float32, unit rows."""
        return self._encode(texts, "RETRIEVAL_DOCUMENT")

    def _encode(self, texts: Sequence[str], task: str) -> FloatArray:
        import httpx

        out = np.empty((len(texts), self.dimension), dtype=np.float32)
        with httpx.Client(timeout=self._timeout, headers={"x-goog-api-key": self.__key}) as client:
            for start in range(0, len(texts), _BATCH):
                part = texts[start : start + _BATCH]
                out[start : start + len(part)] = self._request(client, part, task)
        return unit_rows(out)

    def _request(self, client: httpx.Client, texts: Sequence[str], task: str) -> FloatArray:
        # The service refuses an empty text; a space has a vector.
        requests = [
            {
                "model": f"models/{self._model}",
                "content": {"parts": [{"text": text or " "}]},
                "taskType": task,
                "outputDimensionality": self.dimension,
            }
            for text in texts
        ]
        response = self._post(client, {"requests": requests})
        try:
            vectors = np.asarray([item["values"] for item in response.json()["embeddings"]], dtype=np.float32)
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(
                "The Gemini service answered with something that is no list of embeddings.",
                remedy="Check CEM_RAG_GOOGLE_BASE_URL.",
            ) from error
        if vectors.shape != (len(texts), self.dimension):
            raise DimensionError(
                f"The Gemini service sent {vectors.shape} numbers for {len(texts)} texts of {self.dimension}-d.",
                remedy="Check that the model is gemini-embedding-001.",
            )
        return vectors

    def _post(self, client: httpx.Client, body: dict[str, object]) -> httpx.Response:
        """One request, tried again while the service is busy or broken, within bounds."""
        import httpx

        problem = ""
        for attempt in range(_ATTEMPTS):
            pause = min(_LONGEST_WAIT, 2.0**attempt * (0.5 + random.random() / 2))  # noqa: S311 - spreads retries
            try:
                response = client.post(self._url, json=body)
            except httpx.TransportError as error:
                problem = f"could not be reached ({type(error).__name__})"
            else:
                if response.is_success:
                    return response
                problem = f"answered {response.status_code}: {self._reason(response)}"
                if response.status_code != _TOO_MANY and not response.is_server_error:
                    break
                asked = response.headers.get("retry-after", "")
                if asked.isdigit():
                    pause = min(_LONGEST_WAIT, float(asked))
            if attempt < _ATTEMPTS - 1:
                self._wait(pause)
        raise ModelError(
            f"The Gemini service {problem}.",
            remedy="Try again later, check the key and its quota, or choose an encoder that runs here.",
        )

    def _reason(self, response: httpx.Response) -> str:
        try:
            reason = str(response.json()["error"]["message"])
        except (ValueError, KeyError, TypeError):
            reason = response.reason_phrase
        return reason.replace(self.__key, "[key]")[:300]
