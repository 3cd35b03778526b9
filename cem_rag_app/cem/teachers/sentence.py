"""Any sentence-transformers model, by folder or hub name, read through transformers.

The default is Qwen/Qwen3-Embedding-0.6B: 1024-d, mean of the last hidden states under the attention mask, as the
specification asks (section 3.4). A model that ships prompts in ``config_sentence_transformers.json`` gets its query
prompt before questions.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from cem_rag_app.cem.teachers.base import in_length_order, unit_rows
from cem_rag_app.errors import ModelError
from cem_rag_app.schema import FloatArray

DEFAULT_MODEL = "Qwen/Qwen3-Embedding-0.6B"


class SentenceEncoder:
    """Text to unit vectors of the model's hidden size. Cheap to construct: weights are read at first use.

    Args:
        model: folder or hub name.
        device: torch device.
        max_tokens: tokens read of a text; the rest is cut.
        batch_size: texts a forward pass.

    Raises:
        ModelError: (at first use) the model is neither a folder nor to be had from the hub.
    """

    def __init__(
        self, model: str = DEFAULT_MODEL, *, device: str = "cpu", max_tokens: int = 512, batch_size: int = 16
    ) -> None:
        self.name = f"sentence-transformers:{model}"
        self.pooling = f"attention-mask mean, {max_tokens} tokens"
        self._model_name = model
        self._device = device
        self._max_tokens = max_tokens
        self._batch_size = batch_size
        self._lock = threading.Lock()
        self._loaded: tuple[Any, Any] | None = None

    @cached_property
    def dimension(self) -> int:
        """Hidden size of the model, from its configuration alone."""
        from transformers import AutoConfig

        try:
            return int(AutoConfig.from_pretrained(self._model_name).hidden_size)
        except (OSError, ValueError, AttributeError) as error:
            raise self._unavailable(error) from error

    @cached_property
    def revision(self) -> str:
        """Fingerprint of the weights: SHA-256 of a folder's weight files, or the hub's commit."""
        folder = Path(self._model_name)
        if not folder.is_dir():
            _, model = self._load()
            return str(getattr(model.config, "_commit_hash", None) or "unknown")
        digest = hashlib.sha256()
        for file in sorted(folder.glob("*.safetensors")) + sorted(folder.glob("*.bin")):
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        return digest.hexdigest()[:16]

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Encode questions, after the model's own query prompt: ``(n, dimension)`` float32, unit rows."""
        prompt = self._query_prompt
        return self.encode_documents([prompt + text for text in texts])

    def encode_documents(self, texts: Sequence[str]) -> FloatArray:
        """Encode passages: ``(n, dimension)`` float32, unit rows."""
        return unit_rows(in_length_order(texts, self.dimension, self._batch_size, self._forward))

    @cached_property
    def _query_prompt(self) -> str:
        file = Path(self._model_name) / "config_sentence_transformers.json"
        if not Path(self._model_name).is_dir():
            from transformers.utils.hub import cached_file

            found = cached_file(self._model_name, file.name, _raise_exceptions_for_missing_entries=False)
            if found is None:
                return ""
            file = Path(found)
        if not file.is_file():
            return ""
        prompts = json.loads(file.read_text(encoding="utf-8")).get("prompts") or {}
        return str(prompts.get("query") or "")

    def _forward(self, texts: list[str]) -> FloatArray:
        import torch

        tokenizer, model = self._load()
        # An empty text may have no token at all; a space keeps its row from being a mean of nothing.
        filled = [text or " " for text in texts]
        with self._lock:
            batch = tokenizer(filled, padding=True, truncation=True, max_length=self._max_tokens, return_tensors="pt")
        batch = {key: tensor.to(self._device) for key, tensor in batch.items()}
        with torch.inference_mode():
            hidden = model(**batch).last_hidden_state.float()
        mask = batch["attention_mask"].unsqueeze(-1).float()
        vectors: FloatArray = ((hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)).cpu().numpy()
        return vectors

    def _load(self) -> tuple[Any, Any]:
        with self._lock:
            if self._loaded is None:
                from transformers import AutoModel, AutoTokenizer
                from transformers.utils.logging import disable_progress_bar

                disable_progress_bar()  # type: ignore[no-untyped-call]  # a bar of its own would run through ours
                try:
                    tokenizer = AutoTokenizer.from_pretrained(self._model_name)
                    model = AutoModel.from_pretrained(self._model_name)
                except (OSError, ValueError) as error:
                    raise self._unavailable(error) from error
                if tokenizer.pad_token is None:
                    tokenizer.pad_token = tokenizer.eos_token
                self._loaded = (tokenizer, model.to(self._device).eval())
            return self._loaded

    def _unavailable(self, error: Exception) -> ModelError:
        return ModelError(
            f"The text encoder {self._model_name!r} cannot be loaded: {error}.",
            remedy="Give the folder of a downloaded model, or a hub name on a machine that reaches the hub.",
        )
