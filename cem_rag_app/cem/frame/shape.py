"""How large a frame student is, and how frames are cut for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from transformers.models.blt import BltConfig

FIRST_BYTE = 4
"""Id of byte 0: BLT keeps the ids below for itself, and 0 of them pads."""

VOCABULARY = FIRST_BYTE + 256

Literals = Literal["raw", "any"]

_ATTENTION: dict[str, Any] = {"attn_implementation": "eager"}
"""Sequences are short here: plain products of matrices beat the fused kernel on a CPU, most of all on the way back."""


class FrameShape(BaseModel):
    """The section ``frame`` of ``config.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    literals: Literals
    """``raw``: it learned from frames whose literals are not entropy coded, and refuses the others."""
    patch: int = Field(ge=1, le=64)
    """Bytes of a patch."""
    block: int = Field(ge=1, le=256)
    """Patches that the local encoder reads at a time."""
    context: int = Field(ge=0, le=64)
    """Bytes before a block that it sees too, so that n-grams cross the borders of blocks."""
    piece: int = Field(default=4096, ge=64, le=16384)
    """Bytes that the global transformer sees at a time; longer frames are read piece by piece, at linear cost."""
    groups: tuple[int, ...] = Field(min_length=1, max_length=8)
    """Lengths of the hashed byte n-grams."""
    buckets: int = Field(ge=2, le=1 << 20)
    """Rows of the table for each length. A prime spreads BLT's polynomial hash best."""
    local_width: int = Field(ge=8, le=1024)
    local_layers: int = Field(ge=1, le=8)
    local_heads: int = Field(ge=1, le=64)
    local_hidden: int = Field(ge=8, le=8192)
    spread: int = Field(ge=1, le=16)
    """Queries with which a patch looks at its bytes; ``spread * local_width`` is the width of its vector."""
    layers: int = Field(ge=1, le=24)
    heads: int = Field(ge=1, le=64)
    hidden: int = Field(ge=8, le=8192)

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        for width, heads in ((self.local_width, self.local_heads), (self.width, self.heads)):
            if width % heads or width // heads % 2:
                raise ValueError(f"{width} is not {heads} heads of an even width")
        if any(not 1 <= group <= 16 for group in self.groups):
            raise ValueError("n-grams have 1 to 16 bytes")
        return self

    @property
    def width(self) -> int:
        """Width of the global transformer: exactly what the local encoder gives, so that nothing is projected."""
        return self.spread * self.local_width

    @property
    def own(self) -> int:
        """Bytes of a block that belong to its patches."""
        return self.block * self.patch

    @property
    def positions(self) -> int:
        """Bytes of a block with its context."""
        return self.context + self.own


def blt_config(shape: FrameShape) -> BltConfig:
    """The configuration of transformers' BLT for this shape.

    Its defaults make 4.6 billion parameters, 3 of them hash embeddings, so every size is given. Patches are ours, so
    there is no patcher; the decoder is made as small as can be and then thrown away.
    """
    from transformers.models.blt import BltConfig

    nothing: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 8,
        "num_attention_heads": 1,
        "num_hidden_layers": 1,
        "intermediate_size": 8,
    }
    return BltConfig(
        vocab_size=VOCABULARY,
        patch_in_forward=False,
        cross_attn_k=shape.spread,
        encoder_hash_byte_group_size=list(shape.groups),
        encoder_hash_byte_group_vocab=shape.buckets,
        encoder_hash_byte_group_nb_functions=1,
        local_attention_window_len=None,
        encoder_config={
            "vocab_size": VOCABULARY,
            "cross_attn_all_layers": False,
            "cross_attn_k": shape.spread,
            "hidden_size_global": shape.width,
            "hidden_size": shape.local_width,
            "num_attention_heads": shape.local_heads,
            "num_hidden_layers": shape.local_layers,
            "intermediate_size": shape.local_hidden,
            "max_position_embeddings": shape.positions,
        },
        global_config={
            "hidden_size": shape.width,
            "num_attention_heads": shape.heads,
            "num_hidden_layers": shape.layers,
            "intermediate_size": shape.hidden,
            "max_position_embeddings": -(-shape.piece // shape.patch),
        },
        decoder_config={**nothing, "cross_attn_k": 1, "hidden_size_global": 8},
        patcher_config=nothing,
        **_ATTENTION,
    )
