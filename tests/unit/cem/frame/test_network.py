"""BLT as an encoder: what a vector depends on, and what it does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.blt.modeling_blt import BltSelfAttention, byte_group_hash_function

from cem_rag_app.cem.frame.blocks import cut
from cem_rag_app.cem.frame.network import FrameNetwork
from cem_rag_app.cem.frame.shape import FIRST_BYTE
from cem_rag_app.cem.students.frame import FrameStudent, as_tensors, new_network
from cem_rag_app.zpkg.dictionary import general_dictionary
from tests.unit.cem.frame.conftest import DIMENSION, TEXTS, compressed, make_student, tiny

GENERAL = general_dictionary("en")


def test_rows_have_length_one_and_the_width_of_the_teachers_space(student: FrameStudent) -> None:
    vectors = student.embed_frames(compressed(TEXTS), GENERAL)
    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), DIMENSION), np.float32)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-6)
    assert np.unique(vectors.round(4), axis=0).shape[0] == len(TEXTS)


def test_no_frames_give_no_rows(student: FrameStudent) -> None:
    assert student.embed_frames([], GENERAL).shape == (0, DIMENSION)


@given(order=st.permutations(range(20)), size=st.integers(1, 20))
def test_a_vector_does_not_depend_on_its_batch_mates(
    student: FrameStudent, noise: list[bytes], order: list[int], size: int
) -> None:
    alone = np.concatenate([student.embed_frames([frame], GENERAL) for frame in noise])
    chosen = order[:size]
    together = student.embed_frames([noise[number] for number in chosen], GENERAL)
    assert np.abs(together - alone[chosen]).max() <= 1e-5


def test_the_vectors_are_those_of_a_plain_reading_without_padding_or_masks(noise: list[bytes]) -> None:
    network = new_network(tiny(piece=4096), DIMENSION, 3)
    student = make_student(tiny(piece=4096))
    expected = np.concatenate([naive(network, frame) for frame in noise])
    assert np.abs(student.embed_frames(noise, GENERAL) - expected).max() <= 1e-5


def naive(network: FrameNetwork, frame: bytes) -> np.ndarray:
    """One frame through BLT's modules a block at a time: every sequence exactly as long as it is, so nothing is masked
    but the bytes of other patches, which are cut away instead."""
    shape, blt = network.shape, network.blt
    encoder = blt.local_encoder
    ids = [byte + FIRST_BYTE for byte in frame]
    vectors = []
    with torch.no_grad():
        for start in range(0, len(ids), shape.own):
            before = max(0, start - shape.context)
            # What lies before the context counts in n-grams only as far as the context reaches: padding begins there.
            block = [0] * (shape.context - (start - before)) + ids[before : start + shape.own]
            embedded = encoder.embed_tokens(torch.tensor([block]))
            for number, group in enumerate(shape.groups):
                buckets = byte_group_hash_function(torch.tensor([block]), group, 1_000_000_007, shape.buckets)
                embedded = embedded + blt.encoder_hash_tok_embedding(buckets + number * shape.buckets)
            first = shape.context - (start - before)
            hidden, positions = embedded[:, first:], torch.arange(first, len(block))[None]
            turns = encoder.rotary_emb(hidden, positions)
            for layer in encoder.layers:
                hidden = layer(hidden, position_embeddings=turns, attention_mask=None)
            own = hidden[:, start - before :]
            for patch in own.split(shape.patch, dim=1):
                query = encoder.patch_embedding_projection(patch.max(dim=1).values)
                query = query.reshape(1, shape.spread, shape.local_width)
                found, _ = encoder.cross_attn_layers[0](query, cross_attention_states=patch, attention_mask=None)
                vectors.append((query + found).reshape(1, 1, shape.width))
        states = torch.cat(vectors, dim=1)
        turns = blt.global_transformer.rotary_emb(states, torch.arange(states.shape[1])[None])
        for layer in blt.global_transformer.layers:
            states = layer(states, position_embeddings=turns, attention_mask=None)
        return network.project(states.mean(dim=1)).numpy()


def test_attention_goes_both_ways() -> None:
    # A last byte that changes the states of the first patch would not under causal attention.
    network = new_network(tiny(), DIMENSION, 3)
    assert not any(module.is_causal for module in network.modules() if isinstance(module, BltSelfAttention))
    first, other = b"ABCDEFGHIJKLMNOPQRSTU", b"ABCDEFGHIJKLMNOPQRSTV"
    seen = []
    network.blt.global_transformer.register_forward_hook(lambda *told: seen.append(told[2]))
    with torch.no_grad():
        for frame in (first, other):
            network(**as_tensors(cut([frame], np.zeros(1, dtype=np.int64), 1, network.shape)))
    assert (seen[0][0, 0] - seen[1][0, 0]).abs().max() > 1e-6


def test_the_order_of_bytes_counts(student: FrameStudent) -> None:
    frames = [bytes([0, 0, 0x29, 0, 0, *word]) for word in (b"abcde", b"edcba")]
    vectors = student.embed_frames(frames, GENERAL)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3


def test_a_long_frame_is_the_mean_of_the_patches_of_its_pieces() -> None:
    network = new_network(tiny(), DIMENSION, 3)
    student = make_student(tiny())
    body = bytes(range(1, 146))
    frame = bytes([0, 0, *((len(body) << 3 | 1).to_bytes(3, "little")), *body])
    parts = [frame[:64], frame[64:128], frame[128:]]
    with torch.no_grad():
        pooled = [
            network.pool(**as_tensors(cut([part], np.zeros(1, dtype=np.int64), 1, network.shape))) for part in parts
        ]
        patches = sum(-(-len(part) // 3) for part in parts)
        expected = network.project(sum(pooled) / patches).numpy()
    assert np.abs(student.embed_frames([frame], GENERAL) - expected).max() <= 1e-5


def test_there_is_no_decoder_and_no_patcher() -> None:
    network = new_network(tiny(), DIMENSION, 3)
    assert isinstance(network.blt.local_decoder, torch.nn.Identity)
    assert network.blt.patcher is None


def test_making_a_network_leaves_torchs_own_random_numbers_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    new_network(tiny(), DIMENSION, 3)
    assert torch.equal(torch.rand(1), expected)
