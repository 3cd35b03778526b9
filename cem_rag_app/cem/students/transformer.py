"""The sequence model over patches: a small bidirectional transformer, in torch."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

PIECE = 256
"""Patches that see one another; a longer chunk is read in pieces, so that cost grows with its length alone."""
_GROUP = 1024
"""Patches computed at a time on a processor, padding included: few enough to stay in its cache (docs/log/codec.md)."""
_GROUP_ON_DEVICE = 1 << 17
_REACH = 16
"""Distance between patches beyond which attention no longer tells distances apart."""


class PatchTransformer(nn.Module):
    """Patches of words to unit vectors in the teacher's space.

    Two ways lead to the output and are added: the sum of the chunk's patches, projected (all that a bag of words can
    say), and the mean of what the layers make of the patches in their order. Order is known to attention alone,
    through a learned bias for each distance up to 16 patches to either side (T5's idea, Raffel et al. 2020).

    Args:
        width: of a patch's vector.
        layers: how many.
        heads: of each attention.
        hidden: width inside a layer's feed-forward part.
        dimension: the teacher's.
    """

    def __init__(self, width: int, layers: int, heads: int, hidden: int, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension
        self.first = nn.LayerNorm(width)
        self.layers = nn.ModuleList(_Layer(width, heads, hidden) for _ in range(layers))
        self.last = nn.LayerNorm(width)
        self.bag = nn.Linear(width, dimension, bias=False)
        self.sequence = nn.Linear(width, dimension)
        nn.init.zeros_(self.sequence.weight)
        nn.init.zeros_(self.sequence.bias)

    def forward(self, patches: Tensor, lengths: Tensor) -> Tensor:
        """Embed chunks.

        Args:
            patches: (p, width) float32, the patches of all chunks, one chunk behind another.
            lengths: (n,) int64, how many each chunk has; may be 0.

        Returns:
            ``(n, dimension)`` float32, unit rows; a chunk without patches has the vector of the biases.
        """
        owners, starts, sizes = _pieces(lengths)
        bags = patches.new_zeros(len(lengths), patches.shape[1])
        sums = patches.new_zeros(len(lengths), patches.shape[1])
        if len(sizes):
            order = torch.argsort(sizes, stable=True)
            bag_parts, sum_parts = zip(
                *(self._group(patches, starts[group], sizes[group]) for group in _groups(sizes, order)), strict=True
            )
            bags = bags.index_add(0, owners[order], torch.cat(bag_parts))
            sums = sums.index_add(0, owners[order], torch.cat(sum_parts))
        mean = sums / lengths.clamp(min=1)[:, None]
        out = self.bag(functional.normalize(bags, dim=1)) + self.sequence(mean)
        return functional.normalize(out.float(), dim=1)

    def _group(self, patches: Tensor, starts: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
        """Sums of the patches of pieces, before and behind the layers."""
        steps = torch.arange(int(sizes.max()), device=sizes.device)
        mask = steps[None, :] < sizes[:, None]
        places = (starts[:, None] + steps[None, :]).clamp(max=patches.shape[0] - 1)
        padded = patches[places] * mask[:, :, None]
        hidden = self.first(padded)
        distance = (steps[None, :] - steps[:, None]).clamp(-_REACH, _REACH) + _REACH
        for layer in self.layers:
            hidden = layer(hidden, mask, distance)
        hidden = self.last(hidden) * mask[:, :, None]
        return padded.sum(dim=1), hidden.float().sum(dim=1)


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.nearness = nn.Parameter(torch.zeros(heads, 2 * _REACH + 1))
        self.before_attention = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attended = nn.Linear(width, width)
        self.before_feed = nn.LayerNorm(width)
        self.feed = nn.Linear(width, hidden)
        self.fed = nn.Linear(hidden, width)
        for outer in (self.attended, self.fed):
            nn.init.normal_(outer.weight, std=0.02)
            nn.init.zeros_(outer.bias)

    def forward(self, hidden: Tensor, mask: Tensor, distance: Tensor) -> Tensor:
        count, longest, width = hidden.shape
        split = self.query_key_value(self.before_attention(hidden))
        query, key, value = split.view(count, longest, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        near = self.nearness[:, distance].masked_fill(~mask[:, None, None, :], float("-inf"))
        if torch.is_grad_enabled():
            # Written out, since torch's fused attention is many times slower backwards on a CPU at these lengths.
            scores = query @ key.transpose(2, 3) * (1.0 / math.sqrt(width // self.heads)) + near
            attended = scores.softmax(dim=3).to(value.dtype) @ value
        else:
            attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=near.to(query.dtype))
        hidden = hidden + self.attended(attended.transpose(1, 2).reshape(count, longest, width))
        fed: Tensor = hidden + self.fed(functional.gelu(self.feed(self.before_feed(hidden)), approximate="tanh"))
        return fed


def _pieces(lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cut chunks into pieces of at most `PIECE` patches: (q,) the chunk of each, its first patch, its size."""
    counts = (lengths + PIECE - 1) // PIECE
    owners = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), counts)
    number = torch.arange(len(owners), device=lengths.device) - (counts.cumsum(0) - counts)[owners]
    starts = (lengths.cumsum(0) - lengths)[owners] + number * PIECE
    sizes = (lengths[owners] - number * PIECE).clamp(max=PIECE)
    return owners, starts, sizes


def _groups(sizes: Tensor, order: Tensor) -> list[Tensor]:
    """Split pieces, shortest first, into groups that are little larger padded than not."""
    groups: list[Tensor] = []
    ordered = sizes[order].tolist()
    most = _GROUP if sizes.device.type == "cpu" else _GROUP_ON_DEVICE
    start = 0
    for place, size in enumerate(ordered):
        if place > start and (place + 1 - start) * size > most:
            groups.append(order[start:place])
            start = place
    groups.append(order[start:])
    return groups
