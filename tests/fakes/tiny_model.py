"""A random transformers model of a few kilobytes, saved the way a downloaded one lies in its folder."""

from __future__ import annotations

import json
from pathlib import Path


def save_tiny_model(folder: Path, *, seed: int = 7, query_prompt: str = "") -> Path:
    """Write a two-layer, 32-d BERT with a character vocabulary to ``folder``."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    letters = "abcdefghijklmnopqrstuvwxyz我你好吃火锅苹果。:"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"))
    torch.manual_seed(seed)
    model = BertModel(
        BertConfig(
            vocab_size=len(words),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=512,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if query_prompt:
        (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": {"query": query_prompt}}))
    return folder
