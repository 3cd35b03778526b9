"""Transformers' BLT as an encoder: bytes of a frame in, one unit vector out.

Wrapped, not changed: hash embeddings, local encoder with the patches' cross-attention and global transformer are the
modules of ``transformers.models.blt`` (Apache-2.0; the architecture: Pagnoni et al., "Byte Latent Transformer", 2024).
There is no decoder and nothing is predicted. Attention goes both ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from cem_rag_app.cem.frame.shape import FrameShape, blt_config

if TYPE_CHECKING:
    from torch import Tensor
    from transformers.models.blt.modeling_blt import BltCrossAttention


class FrameNetwork(nn.Module):
    """A frame's bytes to a unit vector.

    Args:
        shape: its sizes.
        dimension: width of the vectors, the teacher's.
    """

    def __init__(self, shape: FrameShape, dimension: int) -> None:
        from transformers.models.blt.modeling_blt import BltModel, BltSelfAttention

        super().__init__()
        self.shape = shape
        self.blt = BltModel(blt_config(shape))
        self.blt.local_decoder = nn.Identity()  # type: ignore[assignment]
        for module in self.blt.modules():
            if isinstance(module, BltSelfAttention):
                # Without this, a batch that needs no mask would fall back to causal attention.
                module.is_causal = False
        self.projection = nn.Linear(shape.width, dimension)

    def forward(
        self,
        ids: Tensor,
        patch_ids: Tensor,
        places: Tensor,
        positions: Tensor,
        pieces: Tensor,
        owners: Tensor,
        counts: Tensor,
    ) -> Tensor:
        """Unit rows ``(frames, dimension)`` of a `FrameBatch`."""
        sums = self.pool(ids, patch_ids, places, positions, pieces, owners, counts)
        return self.project(sums / counts[:, None])

    def pool(
        self,
        ids: Tensor,
        patch_ids: Tensor,
        places: Tensor,
        positions: Tensor,
        pieces: Tensor,
        owners: Tensor,
        counts: Tensor,
    ) -> Tensor:
        """Sum of each frame's patch vectors, ``(frames, width)`` float32."""
        states = self.blt.global_transformer(
            inputs_embeds=self._patches(ids, patch_ids)[places],
            attention_mask=_additive(pieces[:, None, :, None] != pieces[:, None, None, :]),
            position_ids=positions,
        )
        flat = states.reshape(-1, self.shape.width).float()
        # One row more, for the places where there is no patch.
        sums = torch.zeros(len(counts) + 1, self.shape.width, device=flat.device)
        return sums.index_add(0, owners.reshape(-1), flat)[:-1]

    def project(self, means: Tensor) -> Tensor:
        """Unit rows of mean patch vectors."""
        return nn.functional.normalize(self.projection(means).float(), dim=1)

    @property
    def cross_attention(self) -> BltCrossAttention:
        """How patches look at their bytes."""
        return cast("BltCrossAttention", self.blt.local_encoder.cross_attn_layers[0])

    def embedded(self, ids: Tensor) -> Tensor:
        """Embeddings of bytes and of the n-grams that end at them, ``(blocks, positions, local_width)``."""
        from transformers.models.blt.modeling_blt import compute_hash_embeddings

        encoder, table = self.blt.local_encoder, self.blt.encoder_hash_tok_embedding
        return compute_hash_embeddings(ids, encoder, table, 1, list(self.shape.groups), self.shape.buckets)

    def _patches(self, ids: Tensor, patch_ids: Tensor) -> Tensor:
        """Vectors of all patches of all blocks, flattened: ``(blocks * block, width)``."""
        from transformers.models.blt.modeling_blt import _prepare_patch_cross_attention_mask

        shape = self.shape
        count = shape.block + 1
        _, patches = self.blt.local_encoder(
            inputs_embeds=self.embedded(ids),
            attention_mask=_additive(ids == 0)[:, None, None, :],
            encoder_attention_mask=_prepare_patch_cross_attention_mask(
                patch_ids, count, shape.positions, patches_as_queries=True, cross_attn_k=shape.spread
            ),
            num_patches=count,
            patch_ids=patch_ids,
        )
        kept: Tensor = patches.reshape(len(ids), count, shape.width)[:, : shape.block]
        return kept.reshape(-1, shape.width)


def _additive(hidden: Tensor) -> Tensor:
    """0 where a key is seen, the lowest number where it is hidden; the form that every attention takes."""
    return torch.zeros(hidden.shape, device=hidden.device).masked_fill(hidden, torch.finfo(torch.float32).min)
