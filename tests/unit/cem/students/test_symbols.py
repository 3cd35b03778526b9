"""The transformer over patches: what its vectors depend on, and what it is saved as."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from cem_rag_app.cem.checkpoint import Checkpoint, load_checkpoint
from cem_rag_app.cem.encoder import CompressedEncoder
from cem_rag_app.cem.patches import PatchReader
from cem_rag_app.cem.records import CheckpointConfig, CompressionRecord, SymbolsRecord
from cem_rag_app.cem.students.symbols import SymbolsStudent
from cem_rag_app.cem.students.transformer import PIECE, PatchTransformer
from cem_rag_app.cem.training.vocabulary import vocabulary_hashes
from cem_rag_app.errors import CheckpointError
from cem_rag_app.zpkg.compress import Compressor
from cem_rag_app.zpkg.dictionary import general_dictionary

WORDS = ("the", "of", "boundary", "layer", "plate", "heat", "wing", "shock", "flow")
SHAPE = SymbolsRecord(buckets=32, joined=2, width=16, layers=2, heads=2, hidden=24)
TEXTS = (
    "The boundary layer of the plate",
    "heat",
    "",
    "shock wing flow heat " * 30,
    "the layer of heat, the wing of the shock: hypersonic",
    "wing " * (PIECE + 40),
)


@pytest.fixture(scope="module")
def encoder() -> CompressedEncoder:
    generator = np.random.default_rng(3)
    torch.manual_seed(3)
    reader = PatchReader(vocabulary_hashes((word,) for word in WORDS), SHAPE.buckets, SHAPE.joined)
    network = PatchTransformer(SHAPE.width, SHAPE.layers, SHAPE.heads, SHAPE.hidden, 12)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter).mul(0.3).half().float())
    table = generator.integers(-127, 128, (reader.size, SHAPE.width), dtype=np.int8)
    scales = generator.uniform(0.005, 0.02, reader.size).astype(np.float32)
    config = CheckpointConfig(
        format="cem-symbols",
        name="tiny",
        teacher="nobody",
        dimension=12,
        symbols=SHAPE,
        compression=CompressionRecord(zstd_version="1.5.7", level=19),
    )
    return CompressedEncoder(Checkpoint(config, SymbolsStudent(reader, table, scales, network)), threads=1)


@pytest.fixture
def saved(encoder: CompressedEncoder, tmp_path: Path) -> Path:
    encoder.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def frames(texts: tuple[str, ...] | list[str] = TEXTS, level: int = 19, language: str = "en") -> list[bytes]:
    compressor = Compressor(general_dictionary(language), level)  # type: ignore[arg-type]
    return [compressor.compress(text.encode()) for text in texts]


def embed(encoder: CompressedEncoder, texts: tuple[str, ...] | list[str] = TEXTS) -> np.ndarray:
    return encoder.encode(frames(texts), general_dictionary("en"))


def test_rows_are_unit_vectors_in_the_teachers_width(encoder: CompressedEncoder) -> None:
    vectors = embed(encoder)
    assert vectors.shape == (len(TEXTS), 12)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-6)


def test_a_vector_does_not_depend_on_batch_mates_or_padding(encoder: CompressedEncoder) -> None:
    together = embed(encoder)
    alone = np.concatenate([embed(encoder, [text]) for text in TEXTS])
    among_many = embed(encoder, [*TEXTS[::-1], *["shock flow"] * 300])[: len(TEXTS)][::-1]
    assert np.abs(together - alone).max() < 1e-5
    assert np.abs(together - among_many).max() < 1e-5


def test_a_vector_does_not_depend_on_level_or_dictionary(encoder: CompressedEncoder) -> None:
    other = encoder.encode(frames(level=-5, language="zh"), general_dictionary("zh"))
    assert np.abs(embed(encoder) - other).max() < 1e-5


def test_the_order_of_words_matters(encoder: CompressedEncoder) -> None:
    one, two = embed(encoder, ["shock heat wing plate", "plate wing heat shock"])
    assert np.abs(one - two).max() > 1e-3


def test_a_long_chunk_is_the_mean_of_what_its_pieces_say(encoder: CompressedEncoder) -> None:
    """The layers see a piece alone, so a chunk of equal pieces says what one of them says."""
    piece = "wing shock flow heat " * (PIECE // 4)
    one, three = embed(encoder, [piece, piece * 3])
    assert three == pytest.approx(one, abs=1e-5)


def test_no_frames_make_no_vectors(encoder: CompressedEncoder) -> None:
    assert encoder.encode([], general_dictionary("en")).shape == (0, 12)


def test_a_saved_student_gives_the_same_vectors(encoder: CompressedEncoder, saved: Path) -> None:
    again = CompressedEncoder.from_pretrained(saved)
    assert again.view == "symbols"
    assert np.array_equal(embed(again), embed(encoder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 3}, "3 heads do not share"),
        ({"layers": 3}, "the transformer's tensors differ"),
        ({"hidden": 32}, "has the shape"),
        ({"buckets": 33}, "table has the shape"),
    ],
)
def test_a_shape_that_does_not_fit_the_weights_is_refused(saved: Path, change: dict[str, int], message: str) -> None:
    path = saved / "config.json"
    config = json.loads(path.read_text())
    config["symbols"] |= change
    path.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(saved)


def test_a_configuration_without_its_section_is_refused(saved: Path) -> None:
    path = saved / "config.json"
    config = json.loads(path.read_text())
    del config["symbols"]
    path.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="says nothing of the transformer"):
        load_checkpoint(saved)


def test_attention_over_padding_is_none() -> None:
    """A naive run of the same weights, one chunk at a time and without a mask, is the oracle."""
    torch.manual_seed(5)
    network = PatchTransformer(16, 1, 2, 24, 8).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    lengths = torch.tensor([3, 1, 7])
    patches = torch.randn(11, 16)
    with torch.inference_mode():
        found = network(patches, lengths)
        layer = network.layers[0]
        for number, own in enumerate(patches.split(lengths.tolist())):
            hidden = network.first(own)
            query, key, value = (
                part.view(-1, 2, 8).transpose(0, 1)
                for part in layer.query_key_value(layer.before_attention(hidden)).chunk(3, dim=1)
            )
            steps = torch.arange(len(own))
            near = layer.nearness[:, (steps[None, :] - steps[:, None]) + 16]
            scores = (query @ key.transpose(1, 2) / 8**0.5 + near).softmax(dim=2)
            hidden = hidden + layer.attended((scores @ value).transpose(0, 1).reshape(len(own), 16))
            fed = layer.feed(layer.before_feed(hidden))
            hidden = hidden + layer.fed(torch.nn.functional.gelu(fed, approximate="tanh"))
            bag = torch.nn.functional.normalize(own.sum(dim=0), dim=0)
            out = network.bag(bag) + network.sequence(network.last(hidden).mean(dim=0))
            assert torch.allclose(found[number], torch.nn.functional.normalize(out, dim=0), atol=1e-5)


def test_chunks_of_every_length_get_their_own_rows_back_in_their_order(encoder: CompressedEncoder) -> None:
    generator = np.random.default_rng(4)
    words = " ".join(TEXTS).split()
    texts = [" ".join(generator.choice(words, generator.integers(0, 40))) for _ in range(150)]
    alone = np.concatenate([embed(encoder, [text]) for text in texts])
    np.testing.assert_allclose(embed(encoder, texts), alone, atol=1e-5)


def test_a_model_that_was_moved_gives_the_same_vectors_and_leaves_the_first_where_it_was(
    encoder: CompressedEncoder,
) -> None:
    assert encoder.to("cpu") is encoder
    student = encoder.student
    assert isinstance(student, SymbolsStudent)
    moved = student.to("cpu")
    assert moved.network is not student.network
    np.testing.assert_array_equal(
        moved.embed_frames(frames(), general_dictionary("en")), student.embed_frames(frames(), general_dictionary("en"))
    )
    elsewhere = encoder.to("meta").student
    assert isinstance(elsewhere, SymbolsStudent)
    assert {part.device.type for part in elsewhere.network.parameters()} == {"meta"}
    assert {part.device.type for part in student.network.parameters()} == {"cpu"}


def test_training_and_encoding_compute_attention_differently_and_agree() -> None:
    torch.manual_seed(6)
    network = PatchTransformer(16, 2, 2, 24, 8)
    patches, lengths = torch.randn(40, 16), torch.tensor([30, 0, 9, 1])
    with torch.inference_mode():
        encoding = network(patches, lengths)
    assert torch.allclose(encoding, network(patches, lengths), atol=1e-6)


def test_weights_that_are_no_numbers_are_refused(encoder: CompressedEncoder, tmp_path: Path) -> None:
    student = encoder.student
    broken = SymbolsStudent(student.reader, student.table, student.scales * np.float32(np.nan), student.network)
    config = CheckpointConfig(
        format="cem-symbols",
        name="tiny",
        teacher="nobody",
        dimension=12,
        symbols=SHAPE,
        compression=CompressionRecord(zstd_version="1.5.7", level=19),
    )
    CompressedEncoder(Checkpoint(config, broken)).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="scales holds numbers that are none"):
        load_checkpoint(tmp_path)
