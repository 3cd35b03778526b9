"""A vector for a macro sequence that came without one: hashed commands, their order, and coarse arguments."""

from __future__ import annotations

import zlib

import numpy as np

from cem_rag_app.schema import FloatArray

_COARSE = 32.0
"""Levels of an argument that count as one."""


def describe_sequence(sequence: FloatArray, dimension: int = 256) -> FloatArray:
    """Describe a (seq_len, 1 + n_args) macro sequence by a (dimension,) float32 vector of unit length.

    Runs of one to three commands and each used argument, in steps of 32 levels, are hashed to a place and a sign, and
    the root of their counts is kept. It is no trained latent: it finds parts built alike, and is there so that files
    with ``vec`` alone can be searched at all.
    """
    commands = [int(command) for command in sequence[:, 0]]
    counts: dict[str, int] = {}
    for length in (1, 2, 3):
        for start in range(len(commands) - length + 1):
            name = f"c{commands[start : start + length]}"
            counts[name] = counts.get(name, 0) + 1
    for row, column in np.argwhere(sequence[:, 1:] != -1.0).tolist():
        name = f"a{commands[row]}.{column}.{int(sequence[row, 1 + column] // _COARSE)}"
        counts[name] = counts.get(name, 0) + 1
    vector = np.zeros(dimension, dtype=np.float64)
    for name, count in counts.items():
        digest = zlib.crc32(name.encode())
        vector[digest % dimension] += np.sqrt(count) * (1.0 if digest & 0x80000000 else -1.0)
    length_of = float(np.linalg.norm(vector))
    if length_of == 0.0:  # everything cancelled, which takes a sequence of a step or two
        vector[0] = length_of = 1.0
    return (vector / length_of).astype(np.float32)
