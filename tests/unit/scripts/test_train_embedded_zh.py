"""The Chinese table is made by one command, from the corpus alone, and chosen by what was held out."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cem_rag_app.cem.teachers.embedded_zh import EmbeddedZhEncoder, NgramTable
from cem_rag_app.cem.teachers.ngrams import build_fold
from scripts import train_embedded_zh as train

FOLD = build_fold({})
WORDS = {
    "跳舞": "to dance",
    "唱歌": "to sing",
    "下雨": "to rain",
    "雨伞": "umbrella",
    "蛋糕": "cake",
    "生日": "birthday",
}


@dataclass(frozen=True)
class Small(train.Recipe):
    """A recipe for a handful of sentences."""

    topics: int = 4
    batch: int = 16
    crops: int = 20
    token_buckets: int = 3
    pair_buckets: int = 5
    seen: int = 1


class Meanings:
    """Stands for MiniLM: a direction of its own for each text."""

    def __init__(self, **_: object) -> None:
        self.seen: list[str] = []

    def encode_documents(self, texts: Sequence[str]) -> np.ndarray:
        rows = [np.random.default_rng(sum(text.encode())).standard_normal(16) for text in texts]
        return np.array(rows, dtype=np.float32)


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("cem_rag_app.cem.teachers.minilm.MiniLmEncoder", Meanings)
    monkeypatch.setattr(train, "Recipe", Small)
    texts = [f"{one}的时候我们{two}，大家都很高兴。" for one in WORDS for two in WORDS] * 3
    (tmp_path / "passages.txt").write_text("\n".join(texts), encoding="utf-8")
    pairs = [f"gloss\t{word}\t{meaning}" for word, meaning in WORDS.items()]
    for kind in ("reply", "held-talk"):
        pairs += [f"{kind}\t{left}\t{right}" for left, right in itertools.pairwise(texts)]
    (tmp_path / "pairs.tsv").write_text("\n".join(pairs), encoding="utf-8")
    return tmp_path


def test_one_command_writes_a_table_that_the_encoder_reads_and_the_record_of_its_choice(corpus: Path) -> None:
    out = corpus / "zh.safetensors"
    assert train.main(["--corpus", str(corpus), "--out", str(out), "--steps", "2"]) == 0
    encoder = EmbeddedZhEncoder(out)
    assert encoder.dimension == 4 + 256
    assert encoder.table.query_power == 0.5
    record = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    assert len(record["tried"]) == len(train.BLENDS) * len(train.OWN_SHARES)
    assert record["chosen"] == max(record["tried"], key=lambda each: each["scores"]["mean"])
    assert set(record["chosen"]["scores"]) == {"held-talk", "mean"}


def test_the_same_corpus_gives_the_same_table(corpus: Path) -> None:
    for name in ("one", "two"):
        train.main(["--corpus", str(corpus), "--out", str(corpus / name), "--steps", "2"])
    assert (corpus / "one").read_bytes() == (corpus / "two").read_bytes()


def test_what_is_held_out_is_not_trained_on(corpus: Path) -> None:
    pairs = train.read_pairs(corpus / "pairs.tsv")
    kinds = {kind for kind, _, _ in train.train_pairs(pairs, [], Small(steps=100))}
    assert kinds == {"reply"}


def test_words_of_the_dictionary_have_a_row_and_their_meaning() -> None:
    meanings = train.word_meanings([("gloss", word, meaning) for word, meaning in WORDS.items()], FOLD)
    assert set(meanings.values()) == set(WORDS.values())
    keys = train.choose_keys(["今天跳舞"] * 3 + ["明天"], FOLD, np.array(sorted(meanings)), Small(seen=3, bigrams=0))
    found = {meanings[int(key)] for key in keys if int(key) in meanings}
    assert found == {"to dance"}


def test_a_bag_counts_its_n_grams_to_a_power() -> None:
    keys = np.array([ord("好"), ord("吃")], dtype=np.int64)
    vocabulary = train.Vocabulary(FOLD, keys, np.array([0, 0], dtype=np.int32))
    np.testing.assert_allclose(train.bags(["好好好好吃", ""], vocabulary, 0.5).toarray(), [[2, 1], [0, 0]])


def test_ndcg_is_one_for_the_right_text_first_and_less_below() -> None:
    eye = np.eye(3, dtype=np.float32)
    assert train.ndcg(eye, eye) == 1.0
    assert train.ndcg(eye, eye[[1, 0, 2]]) == pytest.approx((1 + 2 / np.log2(3)) / 3, abs=2e-4)


def test_the_written_rows_are_the_ones_that_were_scored(corpus: Path) -> None:
    out = corpus / "zh.safetensors"
    train.main(["--corpus", str(corpus), "--out", str(out), "--steps", "2"])
    chosen = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))["chosen"]
    encoder = EmbeddedZhEncoder(out)
    held = [pair for pair in train.read_pairs(corpus / "pairs.tsv") if pair[0] == "held-talk"]
    score = train.ndcg(
        encoder.encode_queries([left for _, left, _ in held]), encoder.encode_documents([right for _, _, right in held])
    )
    assert score == pytest.approx(chosen["scores"]["mean"], abs=0.03)
    assert isinstance(encoder.table, NgramTable)
