"""A chat model from a local folder, through transformers and the tokenizer's own chat template."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from cem_rag_app.errors import ChatModelError, ModelError

_ROLES = ((SystemMessage, "system"), (HumanMessage, "user"), (AIMessage, "assistant"))


class TransformersChat(BaseChatModel):
    """Loads the folder at the first call and keeps it. One call at a time: a model is one stretch of memory."""

    path: Path
    device: str = "cpu"
    max_new_tokens: int = 400
    max_seconds: float = 60.0

    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _loaded: tuple[Any, Any] | None = PrivateAttr(default=None)

    @property
    def _llm_type(self) -> str:
        return "transformers"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        import torch

        with self._lock:
            tokenizer, model = self._load()
            inputs = tokenizer.apply_chat_template(
                [{"role": _role(message), "content": str(message.content)} for message in messages],
                add_generation_prompt=True,
                return_tensors="pt",
                return_dict=True,
                enable_thinking=False,  # Qwen3's templates know it, others ignore it
            ).to(self.device)
            asked = inputs["input_ids"].shape[1]
            longest = getattr(model.config, "max_position_embeddings", None)
            if longest is not None and asked >= longest:
                raise ChatModelError(
                    f"The prompt has {asked:,} tokens; the model at {self.path} reads {longest:,}.",
                    remedy="Lower CEM_RAG_RECALL__K and CEM_RAG_CHAT__HISTORY_TURNS, or choose a larger model.",
                )
            with torch.inference_mode():
                output = model.generate(
                    **inputs,
                    max_new_tokens=self.max_new_tokens,
                    max_time=self.max_seconds,
                    do_sample=True,
                    pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
                )
        written = output[0, asked:]
        text = tokenizer.decode(written, skip_special_tokens=True)
        for mark in stop or ():
            text = text.split(mark)[0]
        usage = {"input_tokens": asked, "output_tokens": len(written), "total_tokens": asked + len(written)}
        message = AIMessage(content=text, usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            from transformers import AutoModelForCausalLM, AutoTokenizer
            from transformers.utils.logging import disable_progress_bar

            disable_progress_bar()  # a bar of its own would run through ours
            try:
                tokenizer = AutoTokenizer.from_pretrained(self.path)
                model = AutoModelForCausalLM.from_pretrained(self.path).to(self.device).eval()
            except (OSError, ValueError) as error:
                raise ModelError(
                    f"The model at {self.path} cannot be loaded: {error}",
                    remedy="Give a folder that transformers' AutoModelForCausalLM can load.",
                ) from error
            if tokenizer.chat_template is None:
                raise ModelError(
                    f"The tokenizer at {self.path} has no chat template.", remedy="Choose an instruction-tuned model."
                )
            self._loaded = (tokenizer, model)
        return self._loaded


def _role(message: BaseMessage) -> str:
    return next((role for kind, role in _ROLES if isinstance(message, kind)), "user")
