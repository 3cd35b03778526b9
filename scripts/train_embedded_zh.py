"""Make the table of the embedded Chinese encoder from the corpus that ``scripts.collect_corpus`` writes.

    python -m scripts.train_embedded_zh --corpus OUT/zh --characters TSCharacters.txt --out embedded_zh.safetensors

The learned half starts from a dictionary: the vector of an n-gram that is a word is what MiniLM makes of its English
meanings (pairs of the kind ``gloss``), turned to principal directions and whitened. It is then trained on the pairs
(InfoNCE, in-batch negatives, n-gram dropout) with the fixed half beside it, so that it need not repeat exact words.
What is written lies between the start and the end of that training: how far, and how much the fixed half weighs, is
chosen by the mean nDCG@10 over the held-out kinds (``held-*``), and everything that was tried is written beside it
(``.json``). ``--characters`` is OpenCC's table of traditional and simplified characters (Apache-2.0).
"""

# ruff: noqa: S311 - samples are drawn with fixed seeds; nothing here is secret.

from __future__ import annotations

import argparse
import json
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from cem_rag_app.cem.teachers.embedded_zh import full_rows, quantise
from cem_rag_app.cem.teachers.ngrams import build_fold, build_slots, ngram_keys, rows_of

Floats = NDArray[np.float32]
Pair = tuple[str, str, str]

BLENDS = (0.0, 0.25, 0.5, 0.75, 1.0)
OWN_SHARES = (0.5, 0.7, 0.85, 1.0, 1.2)
"""What is tried on the held-out pairs: the way from the dictionary to the end of training, and the fixed half."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the table, saved beside it."""

    topics: int = 256
    passages: int = 100_000
    unigrams: int = 6_000
    bigrams: int = 24_000
    trigrams: int = 3_000
    seen: int = 3
    character: float = 0.7
    triple_weight: float = 0.0
    token_buckets: int = 1_024
    pair_buckets: int = 2_048
    crops: int = 40_000
    temperature: float = 0.05
    batch: int = 512
    steps: int = 240
    rate: float = 3e-4
    dropout: float = 0.2
    own_share: float = 0.85
    query_power: float = 0.5
    seed: int = 20261121


MIX = {"dialogue": 0.5, "reply": 0.25}
"""Share of the pairs of a kind that is trained on; 1 for the others."""


@dataclass(frozen=True)
class Vocabulary:
    """How a text becomes rows: folding table, known n-grams, and rows shared by unknown ones."""

    fold: NDArray[np.uint16]
    keys: NDArray[np.int64]
    buckets: NDArray[np.int32]

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return int(self.keys.size + self.buckets.sum())


def main(arguments: list[str] | None = None) -> int:
    """Train, choose, write; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder with passages.txt and pairs.tsv")
    parser.add_argument("--characters", type=Path, help="traditional and simplified characters, tab-separated")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    import torch

    began = time.monotonic()
    torch.set_num_threads(options.threads)
    recipe = Recipe(steps=options.steps)
    fold = build_fold(read_characters(options.characters))
    passages = (options.corpus / "passages.txt").read_text(encoding="utf-8").split("\n")[: recipe.passages]
    pairs = read_pairs(options.corpus / "pairs.tsv")
    meanings = word_meanings([pair for pair in pairs if pair[0] == "gloss"], fold)
    buckets = np.array([recipe.token_buckets, recipe.pair_buckets], dtype=np.int32)
    vocabulary = Vocabulary(fold, choose_keys(passages, fold, np.array(sorted(meanings)), recipe), buckets)
    sample = bags(passages, vocabulary, 1.0)
    idf = inverse_frequency(sample)
    own = own_rows(idf, vocabulary, recipe)
    own *= recipe.own_share / mean_length(sample, own)
    start = dictionary_rows(meanings, idf, vocabulary, recipe)
    start /= mean_length(sample, start)
    end = contrast(start, own, train_pairs(pairs, passages, recipe), vocabulary, recipe)
    held = [pair for pair in pairs if pair[0].startswith("held-")]
    tried = choose(start, end, own / recipe.own_share, held, vocabulary, recipe.query_power)
    best = max(tried, key=lambda each: each["scores"]["mean"])
    topics = start + best["blend"] * (end - start)
    weights = np.sqrt((own**2).sum(axis=1)) / recipe.own_share * best["own_share"]
    record = {"recipe": asdict(recipe), "chosen": best, "tried": tried, "seconds": round(time.monotonic() - began)}
    write(options.out, vocabulary, (topics, weights.astype(np.float32)), record)
    return 0


def read_characters(path: Path | None) -> dict[str, str]:
    """Traditional to simplified: the first choice of each line ``traditional<TAB>simplified ...``."""
    if path is None:
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return {parts[0]: parts[1].split()[0] for parts in (line.split("\t") for line in lines) if len(parts) == 2}


def read_pairs(path: Path) -> list[Pair]:
    """Triples of kind, left, right."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return [(parts[0], parts[1], parts[2]) for parts in (line.split("\t") for line in lines) if len(parts) == 3]


def word_meanings(glosses: list[Pair], fold: NDArray[np.uint16]) -> dict[int, str]:
    """n-gram key to English meanings, for words of one to three tokens."""
    found: dict[int, str] = {}
    for _, word, meaning in glosses:
        keys = ngram_keys(as_bytes(word), fold)
        if keys.size in (1, 3, 6):  # every n-gram of one, two or three tokens in a row; the last key is the word
            found.setdefault(int(keys[-1]), meaning)
    return found


def choose_keys(
    passages: list[str], fold: NDArray[np.uint16], words: NDArray[np.int64], recipe: Recipe
) -> NDArray[np.int64]:
    """The n-grams that get a row: the most frequent of each length, and the words of the dictionary that occur."""
    total: NDArray[np.int64] = np.empty(0, dtype=np.int64)
    counts: NDArray[np.int64] = np.empty(0, dtype=np.int64)
    for start in range(0, len(passages), 10_000):
        found = [np.unique(ngram_keys(as_bytes(text), fold)) for text in passages[start : start + 10_000]]
        part, number = np.unique(np.concatenate(found), return_counts=True)
        merged, places = np.unique(np.concatenate([total, part]), return_inverse=True)
        counts = np.bincount(places, weights=np.concatenate([counts, number])).astype(np.int64)
        kept = counts > (start >= 50_000)  # rarer than that after so many passages: not worth the memory
        total, counts = merged[kept], counts[kept]
    lengths = 1 + (total >= 1 << 21) + (total >= 1 << 42)
    chosen = [total[np.isin(total, words) & (counts >= recipe.seen)]]
    for length, size in {1: recipe.unigrams, 2: recipe.bigrams, 3: recipe.trigrams}.items():
        places = np.flatnonzero(lengths == length)
        chosen.append(total[places[np.argsort(-counts[places], kind="stable")[:size]]])
    keys = np.unique(np.concatenate(chosen))
    print(f"n-grams with a row: {keys.size}, of them {chosen[0].size} in the dictionary", flush=True)
    return keys


def as_bytes(text: str) -> NDArray[np.uint8]:
    """A text's UTF-8 as an array."""
    return np.frombuffer(text.encode("utf-8", "surrogatepass"), dtype=np.uint8)


def bags(texts: list[str], vocabulary: Vocabulary, power: float) -> csr_matrix:
    """Rows of every text's n-grams, float32 ``(texts, rows)``: how often each occurs, to the power of ``power``."""
    keys = vocabulary.keys
    slots = np.full(1 << (int(keys.size * 2).bit_length()), -1, dtype=np.int32)
    build_slots(keys, slots)
    found = [rows_of(as_bytes(text), vocabulary.fold, keys, slots, vocabulary.buckets) for text in texts]
    starts = np.cumsum([0] + [rows.size for rows in found])
    ones = np.ones(starts[-1], dtype=np.float32)
    matrix = csr_matrix((ones, np.concatenate(found), starts), shape=(len(texts), vocabulary.rows))
    matrix.sum_duplicates()
    matrix.data **= power
    return matrix


def inverse_frequency(texts: csr_matrix) -> Floats:
    """IDF of every row, ``(rows,)``."""
    frequency = np.bincount(texts.indices, minlength=texts.shape[1])
    return np.log((texts.shape[0] + 1) / (frequency + 1)).astype(np.float32)


def own_rows(idf: Floats, vocabulary: Vocabulary, recipe: Recipe) -> Floats:
    """The fixed half: signs of a hash, times IDF; triples count for nothing in it."""
    weights = idf.copy()
    weights[: vocabulary.keys.size][vocabulary.keys >= 1 << 42] *= recipe.triple_weight
    return full_rows(np.empty((vocabulary.rows, 0), np.float32), weights, vocabulary.keys, vocabulary.buckets)


def mean_length(texts: csr_matrix, table: Floats) -> float:
    """Mean length of the texts' sums."""
    return float(np.linalg.norm(texts[:8_000] @ table, axis=1).mean())


def dictionary_rows(meanings: dict[int, str], idf: Floats, vocabulary: Vocabulary, recipe: Recipe) -> Floats:
    """The learned half before training: what MiniLM makes of a word's meanings, whitened, times IDF; 0 without one."""
    from cem_rag_app.cem.teachers.minilm import MiniLmEncoder

    rows = np.array([row for row, key in enumerate(vocabulary.keys.tolist()) if key in meanings])
    began = time.monotonic()
    encoder = MiniLmEncoder(batch_size=128, bfloat16=True)
    vectors = encoder.encode_documents([meanings[int(key)] for key in vocabulary.keys[rows]])
    print(f"meanings of {rows.size} words: {time.monotonic() - began:.0f} s", flush=True)
    weights = idf[rows][:, None]
    vectors = vectors - (vectors * weights).sum(axis=0) / weights.sum()
    strength, directions = np.linalg.eigh((vectors * weights).T @ vectors)
    turned = vectors @ (directions / np.sqrt(np.maximum(strength, 1e-9)))[:, ::-1][:, : recipe.topics]
    table = np.zeros((vocabulary.rows, recipe.topics), dtype=np.float32)
    table[rows] = turned / np.linalg.norm(turned, axis=1, keepdims=True) * weights
    table[: vocabulary.keys.size][vocabulary.keys < 1 << 21] *= recipe.character  # a character says less than a word
    return table


def train_pairs(pairs: list[Pair], passages: list[str], recipe: Recipe) -> list[Pair]:
    """The pairs of all steps, in their order: a share of each kind, and crops."""
    draw = random.Random(recipe.seed)
    other = [pair for pair in pairs if not pair[0].startswith("held-") and pair[0] not in ("gloss", "translation")]
    chosen = [pair for pair in other if draw.random() < MIX.get(pair[0], 1)] + crops(passages, recipe)
    draw.shuffle(chosen)
    return chosen[: recipe.steps * recipe.batch]


def crops(passages: list[str], recipe: Recipe) -> list[Pair]:
    """Two overlapping cuts of one passage: they teach which n-grams tell a text from others, in every domain."""
    draw = random.Random(recipe.seed)
    pairs = []
    for text in passages[: recipe.crops]:
        if len(text) >= 16:
            short = text[(start := draw.randrange(len(text) // 2)) : start + draw.randint(8, len(text) // 2)]
            start = draw.randrange(len(text) // 4 + 1)
            pairs.append(("crop", short, text[start : start + max(8, len(text) * 2 // 3)]))
    return pairs


def contrast(start: Floats, own: Floats, pairs: list[Pair], vocabulary: Vocabulary, recipe: Recipe) -> Floats:
    """Train the learned half on pairs: each left must find its right among the batch's, and the other way round.

    The fixed half takes part in every similarity and gets no gradient.
    """
    import torch
    from torch.nn.functional import cross_entropy, embedding_bag, normalize

    torch.manual_seed(recipe.seed)
    sides = [
        bags([pair[place] for pair in pairs], vocabulary, power) for place, power in ((1, recipe.query_power), (2, 1.0))
    ]
    table = torch.from_numpy(start.copy()).requires_grad_()
    steps = len(pairs) // recipe.batch
    optimiser = torch.optim.Adam([table], lr=recipe.rate, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=max(steps, 1), pct_start=0.08)
    began = time.monotonic()

    def encode(side: csr_matrix, first: int) -> torch.Tensor:
        part = side[first : first + recipe.batch]
        # n-gram dropout: no single n-gram may carry a pair.
        kept = (torch.rand(part.nnz) >= recipe.dropout) / (1 - recipe.dropout)
        learned = embedding_bag(
            torch.from_numpy(part.indices.astype(np.int64)),
            table,
            torch.from_numpy(part.indptr[:-1].astype(np.int64)),
            mode="sum",
            per_sample_weights=torch.from_numpy(part.data) * kept,
        )
        return normalize(torch.cat([learned, torch.from_numpy(part @ own)], dim=1), dim=1)

    for step in range(steps):
        similar = encode(sides[0], step * recipe.batch) @ encode(sides[1], step * recipe.batch).T / recipe.temperature
        target = torch.arange(len(similar))
        loss = (cross_entropy(similar, target) + cross_entropy(similar.T, target)) / 2
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 25 == 0 or step == steps - 1:
            print(f"step {step}/{steps} loss {loss.item():.4f} {time.monotonic() - began:.0f} s", flush=True)
    return table.detach().numpy()


def choose(
    start: Floats, end: Floats, own: Floats, held: list[Pair], vocabulary: Vocabulary, query_power: float
) -> list[dict[str, Any]]:
    """nDCG@10 of every blend and share of the fixed half, for each held-out kind and as their mean."""
    kinds = sorted({pair[0] for pair in held})
    parts: dict[str, list[tuple[Floats, Floats, Floats]]] = {}
    for kind in kinds:
        for place, power in ((1, query_power), (2, 1.0)):
            texts = bags([pair[place] for pair in held if pair[0] == kind], vocabulary, power)
            parts.setdefault(kind, []).append((texts @ start, texts @ end, texts @ own))
    tried = []
    for blend in BLENDS:
        for share in OWN_SHARES:

            def vectors(side: tuple[Floats, Floats, Floats], blend: float = blend, share: float = share) -> Floats:
                joined = np.concatenate([side[0] + blend * (side[1] - side[0]), share * side[2]], axis=1)
                lengths: Floats = np.linalg.norm(joined, axis=1, keepdims=True)
                return joined / np.maximum(lengths, 1e-9)

            scores = {kind: ndcg(vectors(sides[0]), vectors(sides[1])) for kind, sides in parts.items()}
            scores["mean"] = round(sum(scores.values()) / len(scores), 4)
            tried.append({"blend": blend, "own_share": share, "scores": scores})
            print(json.dumps(tried[-1]), flush=True)
    return tried


def ndcg(left: Floats, right: Floats) -> float:
    """nDCG@10 where row i of ``left`` looks for row i of ``right`` among all of ``right``; unit rows ``(n, d)``."""
    similar = left @ right.T
    ranks = (similar > np.diag(similar)[:, None]).sum(axis=1) + 1
    return round(float(np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0).mean()), 4)


def write(out: Path, vocabulary: Vocabulary, parts: tuple[Floats, Floats], record: dict[str, Any]) -> None:
    """Write the artefact and its record."""
    from safetensors.numpy import save_file

    topics, scales = quantise(parts[0])
    arrays = {"fold": vocabulary.fold, "keys": vocabulary.keys, "buckets": vocabulary.buckets}
    power = np.array([record["recipe"]["query_power"]], dtype=np.float32)
    save_file({**arrays, "topics": topics, "topic_scales": scales, "weights": parts[1], "query_power": power}, out)
    out.with_suffix(".json").write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"{out}: {out.stat().st_size} bytes, {record['chosen']}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
