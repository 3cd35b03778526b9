"""Gemini's text embeddings (``gemini-embedding-001``, 3072-d) through google-genai.

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
from cem_rag_app.errors import DimensionError, MissingDependencyError, MissingKeyError, ModelError
from cem_rag_app.schema import FloatArray

if TYPE_CHECKING:
    from google.genai import Client
    from google.genai.errors import APIError
    from google.genai.types import ContentUnion

_BATCH = 100
_ATTEMPTS = 5
_LONGEST_WAIT = 30.0
_TOO_MANY = 429
_BROKEN = 500


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
        self._base_url = base_url
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
        out = np.empty((len(texts), self.dimension), dtype=np.float32)
        client = self._client()
        for start in range(0, len(texts), _BATCH):
            part = texts[start : start + _BATCH]
            out[start : start + len(part)] = self._request(client, part, task)
        return unit_rows(out)

    def _client(self) -> Client:
        try:
            from google import genai
        except ImportError as error:
            raise MissingDependencyError(
                "The Gemini encoder needs the package google-genai.", remedy="Install it: pip install 'cem-rag[gemini]'"
            ) from error
        options = genai.types.HttpOptions(
            base_url=self._base_url,
            api_version="v1beta",
            timeout=int(self._timeout * 1000),
            # Attempts are counted below, where a test can see them.
            retry_options=genai.types.HttpRetryOptions(attempts=1),
        )
        return genai.Client(api_key=self.__key, vertexai=False, http_options=options)

    def _request(self, client: Client, texts: Sequence[str], task: str) -> FloatArray:
        import httpx
        from google.genai.errors import APIError

        # The service refuses an empty text; a space has a vector.
        contents: list[ContentUnion] = [text or " " for text in texts]
        problem = ""
        for attempt in range(_ATTEMPTS):
            pause = min(_LONGEST_WAIT, 2.0**attempt * (0.5 + random.random() / 2))  # noqa: S311 - spreads retries
            try:
                return self._embed(client, contents, task)
            except httpx.TransportError as error:
                problem = f"could not be reached ({type(error).__name__})"
            except APIError as error:
                problem = f"answered {error.code}: {self._reason(error)}"
                if error.code != _TOO_MANY and error.code < _BROKEN:
                    break
                asked = _retry_after(error)
                if asked.isdigit():
                    pause = min(_LONGEST_WAIT, float(asked))
            if attempt < _ATTEMPTS - 1:
                self._wait(pause)
        raise ModelError(
            f"The Gemini service {problem}.",
            remedy="Try again later, check the key and its quota, or choose an encoder that runs here.",
        )

    def _embed(self, client: Client, contents: list[ContentUnion], task: str) -> FloatArray:
        from google.genai.types import EmbedContentConfig

        cause: Exception | None = None
        config = EmbedContentConfig(task_type=task, output_dimensionality=self.dimension)
        try:
            answer = client.models.embed_content(model=self._model, contents=contents, config=config)
            vectors = np.asarray([embedding.values for embedding in answer.embeddings or ()], dtype=np.float32)
            usable = vectors.ndim == 2
        # The client raises whatever its parser met: an answer of another shape is one of these.
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            usable, cause = False, error
        if not usable:
            raise ModelError(
                "The Gemini service answered with something that is no list of embeddings.",
                remedy="Check CEM_RAG_GOOGLE_BASE_URL.",
            ) from cause
        if vectors.shape != (len(contents), self.dimension):
            raise DimensionError(
                f"The Gemini service sent {vectors.shape} numbers for {len(contents)} texts of {self.dimension}-d.",
                remedy="Check that the model is gemini-embedding-001.",
            )
        return vectors

    def _reason(self, error: APIError) -> str:
        return str(error.message or error.status or "no reason given").replace(self.__key, "[key]")[:300]


def _retry_after(error: APIError) -> str:
    """The seconds a response asks to wait, as text; empty when it does not say."""
    headers = getattr(error.response, "headers", None) or {}
    return str(headers.get("retry-after") or headers.get("Retry-After") or "")
