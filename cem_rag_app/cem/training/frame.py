"""The student over raw frame bytes while it learns; what is shipped of it is `students.frame`.

Two stages. First the embeddings of bytes and n-grams learn alone, as a bag: the layers above are passed over, and a
step costs a tenth of a whole one. Then everything learns. The layers start so that the whole network says at first
what the bag said: their last matrices are zero, and the patches' attention is nearly an even mean.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cem_rag_app.cem.frame.blocks import cut, split
from cem_rag_app.cem.frame.network import FrameNetwork
from cem_rag_app.cem.frame.shape import FIRST_BYTE, FrameShape
from cem_rag_app.cem.students.frame import FrameStudent, as_tensors, new_network, restore, rounded
from cem_rag_app.cem.training.base import Rows, Tell
from cem_rag_app.cem.training.config import TrainingConfig
from cem_rag_app.cem.training.data import TrainingData
from cem_rag_app.cem.training.losses import Objective
from cem_rag_app.cem.training.schedule import Plan, rate

_PRIME = 1_000_000_007
"""BLT's first; it has no name there."""
_FIRST_SPREAD = 0.05
_STEADY = 3.0
_GAIN = 4.0
_NEARLY_NOTHING = 0.1


def prepare(config: TrainingConfig, data: TrainingData, tell: Tell) -> FrameTrainable:
    """Make the network and warm its embeddings up."""
    shape = shape_of(config)
    network = new_network(shape, data.dimension, config.seed)
    start_as_bag(network, config.seed)
    if config.frame.warm_epochs:
        warm_up(network, config, data, tell)
    # Its gradient and its two moments are most of a step's memory traffic.
    network.blt.encoder_hash_tok_embedding.weight.requires_grad_(config.frame.table_rate > 0)
    digests = tuple(dictionary.digest for dictionary in data.frames.dictionaries)
    return FrameTrainable(network, data.frames.frames, digests, config.level, config.frame.table_rate)


def shape_of(config: TrainingConfig) -> FrameShape:
    """The student's sizes. Levels below 0 leave literals raw, and their student refuses other frames."""
    numbers = {name: getattr(config.frame, name) for name in FrameShape.model_fields if name != "literals"}
    return FrameShape(literals="raw" if config.level < 0 else "any", **numbers)


@dataclass(eq=False)
class FrameTrainable:
    """A network as the loop wants it.

    Attributes:
        module: the network.
        frames: training frames.
        dictionaries: digests of theirs.
        level: zstd level of theirs.
        table_rate: learning rate of the n-grams' vectors, as a share of the others'.
    """

    module: FrameNetwork
    frames: Sequence[bytes]
    dictionaries: tuple[str, ...]
    level: int
    table_rate: float = 1.0

    def batch(self, rows: Rows, generator: np.random.Generator | None) -> dict[str, Tensor]:
        """Frames in pieces, blocks and patches. Nothing is augmented: one bit changed is another frame."""
        pieces, owners = split([self.frames[row] for row in rows], self.module.shape.piece)
        return as_tensors(cut(pieces, owners, len(rows), self.module.shape))

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The table at a rate of its own."""
        table = self.module.blt.encoder_hash_tok_embedding.weight
        others = [parameter for parameter in self.module.parameters() if parameter is not table]
        groups: list[dict[str, Any]] = [{"params": others, "share": 1.0}]
        if table.requires_grad:
            groups.append({"params": [table], "share": self.table_rate, "decay": False})
        return groups

    def export(self) -> FrameStudent:
        """The network rounded."""
        dimension = self.module.projection.out_features
        network = new_network(self.module.shape, dimension, 0)
        restore(network, rounded(self.module))
        return FrameStudent(network, dimension, self.dictionaries, self.level)

    def record(self) -> dict[str, Any]:
        """What ``config.json`` says of it."""
        return {"format": "cem-frame", "frame": self.module.shape}


def start_as_bag(network: FrameNetwork, seed: int) -> None:
    """Let the network begin as the bag that `EmbeddingBag` is, up to the way bytes are averaged patch by patch."""
    from transformers.models.blt.modeling_blt import BltTransformerLayer

    generator = torch.Generator().manual_seed(seed)
    blt = network.blt
    with torch.no_grad():
        for module in blt.modules():
            if isinstance(module, BltTransformerLayer):
                module.self_attn.o_proj.weight.zero_()
                module.mlp.down_proj.weight.zero_()
        cross = network.cross_attention
        nn.init.eye_(cross.v_proj.weight).mul_(_GAIN)
        nn.init.eye_(cross.o_proj.weight)
        cross.v_proj.weight[0, 0] = 0.0  # what is the same everywhere is not read
        for matrix in (cross.q_proj.weight, blt.local_encoder.patch_embedding_projection.weight):
            matrix.mul_(_NEARLY_NOTHING)
        for table in (blt.encoder_hash_tok_embedding.weight, blt.local_encoder.embed_tokens.weight):
            table.normal_(std=_FIRST_SPREAD, generator=generator)
        # Norms divide each byte by its length, so that "the" would weigh as much as a name. A number that is the same
        # for every byte and large keeps lengths nearly as they were.
        blt.local_encoder.embed_tokens.weight[:, 0] = _STEADY


def warm_up(network: FrameNetwork, config: TrainingConfig, data: TrainingData, tell: Tell) -> None:
    """Teach the embeddings as a bag of n-grams, in the order and with the loss of the training proper."""
    numbers = config.frame
    plan = Plan(len(data.frames), numbers.warm_batch, numbers.warm_epochs, config.seed)
    schedule = dataclasses.replace(config.optimizer, learning_rate=numbers.warm_rate)
    objective = Objective(EmbeddingBag(network), config.loss)
    optimizer = torch.optim.Adam([p for p in objective.parameters() if p.requires_grad])
    for step in range(plan.steps):
        if step % plan.batches == 0:
            order = plan.order(step // plan.batches)
        rows = plan.rows(step, order)
        for group in optimizer.param_groups:
            group["lr"] = rate(step, plan.steps, schedule)
        batch = hashed([data.frames.frames[row] for row in rows], network.shape)
        loss, _ = objective(batch, torch.from_numpy(data.targets.take(rows)), torch.arange(len(rows)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        tell(step + 1, plan.steps, "warming n-grams up", f"loss {loss.item():.4f}")


class EmbeddingBag(nn.Module):
    """The network's embeddings, norm and projection without the layers between them."""

    def __init__(self, network: FrameNetwork) -> None:
        super().__init__()
        self.table = network.blt.encoder_hash_tok_embedding
        self.bytes = network.blt.local_encoder.embed_tokens
        self.norm = network.cross_attention.k_norm
        self.value = network.cross_attention.v_proj
        self.out = network.cross_attention.o_proj
        self.projection = network.projection
        self.spread = network.shape.spread

    def forward(self, ngrams: Tensor, ids: Tensor, owners: Tensor, counts: Tensor) -> Tensor:
        """``(frames, dimension)`` unit rows.

        Args:
            ngrams: (bytes, groups) int64, rows of the table.
            ids: (bytes,) int64.
            owners: (bytes,) int64, the frame of each byte.
            counts: (frames,) int64, bytes of each.
        """
        embedded = self.norm(nn.functional.embedding_bag(ngrams, self.table.weight, mode="sum") + self.bytes(ids))
        sums = torch.zeros(len(counts), embedded.shape[1]).index_add(0, owners, embedded)
        means = self.out(self.value(sums / counts[:, None])).repeat(1, self.spread)
        return nn.functional.normalize(self.projection(means), dim=1)


def hashed(frames: Sequence[bytes], shape: FrameShape) -> dict[str, Tensor]:
    """What `EmbeddingBag` reads: the rows of the table that `compute_hash_embeddings` would take."""
    from transformers.models.blt.modeling_blt import byte_group_hash_function

    sizes = np.fromiter(map(len, frames), dtype=np.int64, count=len(frames))
    gap = max(shape.groups)
    owners = np.repeat(np.arange(len(frames)), sizes)
    places = np.arange(len(owners)) + gap * (owners + 1)
    padded = np.zeros(len(owners) + gap * len(frames), dtype=np.int64)
    padded[places] = np.frombuffer(b"".join(frames), dtype=np.uint8).astype(np.int64) + FIRST_BYTE
    line = torch.from_numpy(padded)[None]
    own = torch.from_numpy(places)
    ngrams = [
        byte_group_hash_function(line, group, _PRIME, shape.buckets)[0][own] + number * shape.buckets
        for number, group in enumerate(shape.groups)
    ]
    return {
        "ngrams": torch.stack(ngrams, dim=1),
        "ids": line[0][own],
        "owners": torch.from_numpy(owners),
        "counts": torch.from_numpy(sizes),
    }
