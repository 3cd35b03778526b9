"""Made parts look like those of the drawing datasets."""

from __future__ import annotations

import numpy as np

from cem_rag_app.vectors.descriptor import describe_sequence
from cem_rag_app.vectors.macros import ARC, CIRCLE, END, EXTRUDE, FAMILIES, LEVELS, LINE, LOOP, N_ARGS, MacroGenerator

USED = {LINE: {0, 1}, ARC: {0, 1, 2, 3}, CIRCLE: {0, 1, 4}, END: set(), LOOP: set(), EXTRUDE: set(range(5, 16))}


def parts(count: int, seed: int = 3) -> list:
    generator = MacroGenerator(seed)
    return [generator.part() for _ in range(count)]


def test_a_sequence_uses_the_arguments_of_its_commands_and_ends_once() -> None:
    for part in parts(400):
        assert part.vec.shape[1] == 1 + N_ARGS
        assert 3 <= len(part.vec) <= 60
        assert part.vec.dtype == np.float32
        assert (part.vec[:, 0] == END).tolist() == [False] * (len(part.vec) - 1) + [True]
        for row in part.vec:
            assert set(np.flatnonzero(row[1:] != -1).tolist()) == USED[int(row[0])]
        assert part.vec[:, 1:].max() < LEVELS
        assert np.abs(np.linalg.norm(part.z) - 1) < 1e-5


def test_a_seed_makes_the_same_parts_and_another_others() -> None:
    first, again, other = parts(5), parts(5), parts(5, seed=4)
    assert [part.label for part in first] == [part.label for part in again]
    np.testing.assert_array_equal(first[4].vec, again[4].vec)
    np.testing.assert_array_equal(first[4].z, again[4].z)
    assert any(not np.array_equal(a.z, b.z) for a, b in zip(first, other, strict=True))


def test_every_family_is_made_and_latent_vectors_know_it_better_than_chance() -> None:
    made = parts(800)
    labels = np.array([part.label for part in made])
    assert set(labels) == set(FAMILIES)
    for vectors in (np.stack([part.z for part in made]), np.stack([describe_sequence(part.vec) for part in made])):
        similar = vectors @ vectors.T
        np.fill_diagonal(similar, -1)
        share = float((labels[similar.argmax(axis=1)] == labels).mean())
        assert 0.6 < share <= 1.0


def test_a_description_is_of_unit_length_even_of_one_step() -> None:
    for rows in ([[0.0]], [[3, -1, -1]], [[0, 255, 0]]):
        assert np.linalg.norm(describe_sequence(np.array(rows, dtype=np.float32), 7)) - 1 < 1e-6
