"""A frame student so small that it is made in milliseconds, and frames as they lie in a pack."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from cem_rag_app.cem.frame.shape import FrameShape
from cem_rag_app.cem.students.frame import FrameStudent, new_network
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import Dictionary, general_dictionary

DIMENSION = 12
RAW = -5
SENTENCE = "The boundary layer over a flat plate thickens downstream, and its heat transfer falls; "
TEXTS = tuple(f"{number} {SENTENCE * (number % 4)}{number * 7919 % 997}" for number in range(9))


def tiny(**changes: object) -> FrameShape:
    """Patches of 3 bytes in blocks of 4, two pieces for a frame above 64 bytes."""
    sizes = {
        "literals": "any",
        "patch": 3,
        "block": 4,
        "context": 5,
        "piece": 64,
        "groups": (2, 4),
        "buckets": 61,
        "local_width": 8,
        "local_layers": 1,
        "local_heads": 2,
        "local_hidden": 12,
        "spread": 2,
        "layers": 2,
        "heads": 2,
        "hidden": 20,
    }
    return FrameShape.model_validate(sizes | changes)


def compressed(texts: Sequence[str | bytes], level: int = 19, dictionary: Dictionary | None = None) -> list[bytes]:
    """Frames of texts, with the general English dictionary unless another is given."""
    compressor = Compressor(dictionary or general_dictionary("en"), level)
    return [compressor.compress(text if isinstance(text, bytes) else text.encode()) for text in texts]


def make_student(shape: FrameShape, level: int = 19) -> FrameStudent:
    """A student with random weights that knows the general English dictionary."""
    return FrameStudent(new_network(shape, DIMENSION, 3), DIMENSION, [general_dictionary("en").digest], level)


@pytest.fixture(scope="session")
def student() -> FrameStudent:
    return make_student(tiny())


@pytest.fixture(scope="session")
def noise() -> list[bytes]:
    """Frames of bytes that zstd cannot shorten, of every length around the borders of patches, blocks and pieces."""
    generator = np.random.default_rng(5)
    sizes = (0, 1, 2, 3, 4, 6, 7, 8, 19, 20, 31, 32, 56, 57, 58, 59, 60, 130, 131, 700)
    return compressed([generator.integers(0, 256, size, dtype=np.uint8).tobytes() for size in sizes])
