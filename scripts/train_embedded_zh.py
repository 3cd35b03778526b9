"""Make the table of the embedded Chinese encoder from the corpus that ``scripts.collect_corpus`` writes.

    python -m scripts.train_embedded_zh --corpus OUT/zh --characters TSCharacters.txt --out embedded_zh.safetensors

First latent semantic analysis (IDF-weighted n-gram counts of the passages, truncated SVD), then, unless ``--lsa-only``,
contrastive training of the same table on the pairs (InfoNCE, in-batch negatives, n-gram dropout). Of both, the table
with the better MRR on held-out pairs is written, with its scores beside it (``.json``). ``--characters`` is OpenCC's
table of traditional and simplified characters (Apache-2.0).
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

from cem_rag_app.cem.teachers.embedded_zh import full_rows, quantise
from cem_rag_app.cem.teachers.ngrams import build_fold, build_slots, ngram_keys, rows_of

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the table, saved beside it."""

    dimension: int = 256
    topics: int = 128
    single_weight: float = 2.0
    triple_weight: float = 0.0
    own_share: float = 0.85
    unigrams: int = 6_000
    bigrams: int = 22_000
    trigrams: int = 5_000
    token_buckets: int = 1_024
    pair_buckets: int = 2_048
    lsa_passages: int = 150_000
    own_direction: float = 1.0
    crops: int = 120_000
    temperature: float = 0.05
    batch: int = 768
    epochs: float = 4.0
    rate: float = 3e-3
    dropout: float = 0.2
    held_out: int = 4_000
    seed: int = 20261120


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


@dataclass(frozen=True)
class Bags:
    """Rows of the known n-grams of many texts: text i has ``rows[starts[i]:starts[i + 1]]``."""

    rows: NDArray[np.int32]
    starts: NDArray[np.int64]

    def take(self, picks: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Concatenated rows and their offsets for some of the texts."""
        parts = [self.rows[self.starts[i] : self.starts[i + 1]] for i in picks]
        offsets = np.cumsum([0] + [part.size for part in parts[:-1]])
        return np.concatenate(parts).astype(np.int64), offsets.astype(np.int64)


def main(arguments: list[str] | None = None) -> int:
    """Train, compare, write; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder with passages.txt and pairs.tsv")
    parser.add_argument("--characters", type=Path, help="traditional and simplified characters, tab-separated")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--lsa-only", action="store_true")
    parser.add_argument("--epochs", type=float, default=Recipe.epochs)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    import torch

    torch.set_num_threads(options.threads)
    recipe = Recipe(epochs=options.epochs)
    fold = build_fold(read_characters(options.characters))
    passages = (options.corpus / "passages.txt").read_text(encoding="utf-8").split("\n")[: recipe.lsa_passages]
    buckets = np.array([recipe.token_buckets, recipe.pair_buckets], dtype=np.int32)
    vocabulary = Vocabulary(fold, choose_keys(passages, fold, recipe), buckets)
    table, idf = lsa(bags(passages, vocabulary), vocabulary.rows, recipe)
    pairs = read_pairs(options.corpus / "pairs.tsv")
    held, train = pairs[: recipe.held_out], pairs[recipe.held_out :]
    seen = {right for _, _, right in held} | {left for _, left, _ in held}
    train = [pair for pair in train if pair[1] not in seen and pair[2] not in seen]
    scores = {}
    best = 0.0
    for kind in ("lsa",) if options.lsa_only else ("lsa", "contrastive"):
        if kind == "contrastive":
            table = contrast(table, idf, train + crops(passages, recipe), vocabulary, recipe)
        parts = compose(table, idf, passages, vocabulary, recipe)
        scores[f"{kind}, topics alone"] = evaluate(table, held, vocabulary)
        scores[kind] = evaluate(full_rows(*parts, vocabulary.keys, vocabulary.buckets), held, vocabulary)
        print(json.dumps(scores), flush=True)
        if scores[kind]["mean"] > best:
            best = scores[kind]["mean"]
            write(options.out, vocabulary, parts, {"recipe": asdict(recipe), "kind": kind, "held_out": scores})
    return 0


def read_characters(path: Path | None) -> dict[str, str]:
    """Traditional to simplified: the first choice of each line ``traditional<TAB>simplified ...``."""
    if path is None:
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return {parts[0]: parts[1].split()[0] for parts in (line.split("\t") for line in lines) if len(parts) == 2}


def read_pairs(path: Path) -> list[tuple[str, str, str]]:
    """Triples of kind, left, right."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return [(parts[0], parts[1], parts[2]) for parts in (line.split("\t") for line in lines) if len(parts) == 3]


def choose_keys(passages: list[str], fold: NDArray[np.uint16], recipe: Recipe) -> NDArray[np.int64]:
    """The n-grams that get a row: the most frequent of each length, by the number of passages they are in."""
    total: NDArray[np.int64] = np.empty(0, dtype=np.int64)
    counts: NDArray[np.int64] = np.empty(0, dtype=np.int64)
    for start in range(0, len(passages), 10_000):
        found = [np.unique(ngram_keys(as_bytes(text), fold)) for text in passages[start : start + 10_000]]
        part, number = np.unique(np.concatenate(found), return_counts=True)
        keep = number > 1  # an n-gram seen once in ten thousand passages will not make the list
        merged, places = np.unique(np.concatenate([total, part[keep]]), return_inverse=True)
        counts = np.bincount(places, weights=np.concatenate([counts, number[keep]])).astype(np.int64)
        total = merged
    lengths = 1 + (total >= 1 << 21) + (total >= 1 << 42)
    quota = {1: recipe.unigrams, 3: recipe.trigrams, 2: recipe.bigrams}
    chosen = []
    for length, size in quota.items():
        places = np.flatnonzero(lengths == length)
        chosen.append(total[places[np.argsort(-counts[places], kind="stable")[:size]]])
        print(f"{length}-grams: {chosen[-1].size} of {places.size}", flush=True)
    return np.sort(np.concatenate(chosen))


def as_bytes(text: str) -> NDArray[np.uint8]:
    """A text's UTF-8 as an array."""
    return np.frombuffer(text.encode("utf-8", "surrogatepass"), dtype=np.uint8)


def bags(texts: list[str], vocabulary: Vocabulary) -> Bags:
    """Look every text's n-grams up."""
    keys = vocabulary.keys
    slots = np.full(1 << (int(keys.size * 2).bit_length()), -1, dtype=np.int32)
    build_slots(keys, slots)
    found = [rows_of(as_bytes(text), vocabulary.fold, keys, slots, vocabulary.buckets) for text in texts]
    return Bags(np.concatenate(found), np.cumsum([0] + [rows.size for rows in found]).astype(np.int64))


def lsa(texts: Bags, rows: int, recipe: Recipe) -> tuple[Floats, Floats]:
    """Truncated SVD of the IDF-weighted, unit-length counts; returns the table and the IDF of each row."""
    from scipy.sparse import csr_matrix, diags
    from sklearn.utils.extmath import randomized_svd

    count = texts.starts.size - 1
    matrix = csr_matrix((np.ones(texts.rows.size, np.float32), texts.rows, texts.starts), shape=(count, rows))
    matrix.sum_duplicates()
    frequency = np.bincount(matrix.indices, minlength=rows)
    idf = np.log((count + 1) / (frequency + 1)).astype(np.float32)
    matrix.data = np.sqrt(matrix.data)  # the second mention of a word says less than the first
    weighted = matrix.multiply(idf[None, :]).tocsr()
    norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    weighted = diags((1 / np.maximum(norms, 1e-9)).astype(np.float32)) @ weighted
    began = time.monotonic()
    _, strength, right = randomized_svd(
        weighted, recipe.dimension, n_iter=2, n_oversamples=32, random_state=recipe.seed
    )
    print(f"SVD of {weighted.shape}, {weighted.nnz} entries: {time.monotonic() - began:.0f} s", flush=True)
    # Whitened (every direction counts alike), weighted by IDF to the 1.5: measured better than plain V and IDF.
    table = right.T / strength[None, :]
    return (table / np.sqrt((table**2).sum(axis=1)).mean() * idf[:, None] ** 1.5).astype(np.float32), idf


def crops(passages: list[str], recipe: Recipe) -> list[tuple[str, str, str]]:
    """Two overlapping cuts of one passage: they teach which n-grams tell a text from others, in every domain."""
    draw = random.Random(recipe.seed)
    pairs = []
    for text in passages[: recipe.crops]:
        if len(text) >= 16:
            short = text[(start := draw.randrange(len(text) // 2)) : start + draw.randint(8, len(text) // 2)]
            start = draw.randrange(len(text) // 4 + 1)
            pairs.append(("crop", short, text[start : start + max(8, len(text) * 2 // 3)]))
    return pairs


def contrast(
    start: Floats,
    idf: Floats,
    pairs: list[tuple[str, str, str]],
    vocabulary: Vocabulary,
    recipe: Recipe,
) -> Floats:
    """Train the table on pairs: each left must find its right among the batch's, and the other way round."""
    import torch
    from torch.nn.functional import cross_entropy, embedding_bag, normalize

    torch.manual_seed(recipe.seed)
    left = bags([pair[1] for pair in pairs], vocabulary)
    right = bags([pair[2] for pair in pairs], vocabulary)
    full = np.flatnonzero((np.diff(left.starts) > 0) & (np.diff(right.starts) > 0))
    # Beside the topics of the LSA every row starts with a direction of its own, so that exact words still tell.
    own = np.random.default_rng(recipe.seed).standard_normal(start.shape) / np.sqrt(start.shape[1])
    begin = (start + recipe.own_direction * own * idf[:, None] ** 1.5) / (idf**1.5).mean()
    table = torch.from_numpy(begin.astype(np.float32)).requires_grad_()
    optimiser = torch.optim.Adam([table], lr=recipe.rate, betas=(0.9, 0.98))
    steps = int(recipe.epochs * (full.size // recipe.batch))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=steps, pct_start=0.08)
    draw = np.random.default_rng(recipe.seed)
    order = np.empty(0, dtype=np.int64)
    began = time.monotonic()

    def encode(side: Bags, picks: NDArray[np.int64]) -> torch.Tensor:
        rows, offsets = side.take(picks)
        # n-gram dropout: no single n-gram may carry a pair.
        kept = (torch.rand(rows.size) >= recipe.dropout).float()
        summed = embedding_bag(
            torch.from_numpy(rows), table, torch.from_numpy(offsets), mode="sum", per_sample_weights=kept
        )
        return normalize(summed, dim=-1)

    for step in range(steps):
        if order.size < recipe.batch:
            order = draw.permutation(full)
        picks, order = order[: recipe.batch], order[recipe.batch :]
        similar = encode(left, picks) @ encode(right, picks).T / recipe.temperature
        target = torch.arange(len(picks))
        loss = (cross_entropy(similar, target) + cross_entropy(similar.T, target)) / 2
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 50 == 0 or step == steps - 1:
            print(f"step {step}/{steps} loss {loss.item():.4f} {time.monotonic() - began:.0f} s", flush=True)
    return table.detach().numpy()


def evaluate(table: Floats, held: list[tuple[str, str, str]], vocabulary: Vocabulary) -> dict[str, float]:
    """MRR of each kind of held-out pair: the right one among all rights of its kind; ``mean`` over the kinds."""
    small, scales = quantise(table)
    dense = small.astype(np.float32) * scales[:, None]
    result: dict[str, float] = {}
    for kind in sorted({pair[0] for pair in held}):
        chosen = [pair for pair in held if pair[0] == kind]
        sides = []
        for side in (1, 2):
            vectors = sums(bags([pair[side] for pair in chosen], vocabulary), dense)
            sides.append(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))
        similar = sides[0] @ sides[1].T
        ranks = (similar > np.diag(similar)[:, None]).sum(axis=1) + 1
        result[kind] = round(float((1 / ranks).mean()), 4)
    result["mean"] = round(sum(result.values()) / len(result), 4)
    return result


def compose(
    table: Floats, idf: Floats, passages: list[str], vocabulary: Vocabulary, recipe: Recipe
) -> tuple[Floats, Floats]:
    """The parts of the artefact: the table turned to its principal directions, and the weight of each row's own.

    Both halves are scaled so that an average passage is as long in one as in the other, times ``own_share``. The
    three weights of the recipe were chosen by the mean over the held-out pairs.
    """
    sample = bags(passages[:20_000], vocabulary)
    vectors = sums(sample, table)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    _, directions = np.linalg.eigh(vectors.T @ vectors)
    topics = (table @ directions[:, ::-1][:, : recipe.topics]).astype(np.float32)
    topics /= np.linalg.norm(sums(sample, topics), axis=1).mean()
    weights = idf.copy()
    known = weights[: vocabulary.keys.size]
    known[vocabulary.keys >= 1 << 42] *= recipe.triple_weight
    known[vocabulary.keys < 1 << 21] *= recipe.single_weight
    weights[vocabulary.keys.size :][: vocabulary.buckets[0]] *= recipe.single_weight
    own = full_rows(topics[:, :0], weights, vocabulary.keys, vocabulary.buckets)
    weights *= recipe.own_share / np.linalg.norm(sums(sample, own), axis=1).mean()
    return topics, weights.astype(np.float32)


def sums(texts: Bags, table: Floats) -> Floats:
    """Sum of the rows of each text."""
    pieces = zip(texts.starts, texts.starts[1:], strict=False)
    return np.stack([table[texts.rows[a:b]].sum(axis=0) for a, b in pieces])


def write(out: Path, vocabulary: Vocabulary, parts: tuple[Floats, Floats], record: dict[str, Any]) -> None:
    """Write the artefact and its record."""
    from safetensors.numpy import save_file

    topics, scales = quantise(parts[0])
    arrays = {"fold": vocabulary.fold, "keys": vocabulary.keys, "buckets": vocabulary.buckets}
    save_file({**arrays, "topics": topics, "topic_scales": scales, "weights": parts[1]}, out)
    out.with_suffix(".json").write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"{out}: {out.stat().st_size} bytes, {record['kind']}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
