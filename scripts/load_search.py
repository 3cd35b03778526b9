"""Measure `POST /search` under a steady load on this machine: ``python -m scripts.load_search --vectors FOLDER``.

The collection is made when the folder has none: synthetic clusters (points about random centres), the same ones every
time. The server is `cem-rag serve` as a process of its own on 127.0.0.1; the generator sends on time, whether or not
answers come (:mod:`scripts.open_load`). One JSON object goes to stdout: percentiles, the server's own account of where
the time went, and recall@10 against exact search, without which a time says nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import httpx
import numpy as np
from prometheus_client.parser import text_string_to_metric_families
from tqdm import tqdm

from cem_rag_app.evaluation.report import Report
from cem_rag_app.schema import FloatArray
from scripts.open_load import Measured, send_steadily
from scripts.processes import serving
from stores.vectors.items import VectorItem
from stores.vectors.service import VectorCollection

CENTRES = 5_000
SPREAD = 0.8
"""Length of a point's noise, where its centre has length 1."""
PIECE = 10_000
POPULAR = 100
"""Questions that are asked again and again, where a share of them is wanted."""
CHECKED = 200
"""Questions whose answers are compared with exact search."""


@click.command()
@click.option("--vectors", required=True, type=click.Path(file_okay=False, path_type=Path), help="Of the collection.")
@click.option("--count", default=1_000_000, show_default=True, help="Vectors, where the collection has to be made.")
@click.option("--dimension", default=128, show_default=True)
@click.option("--rate", default=50.0, show_default=True, help="Requests a second.")
@click.option("--seconds", default=60.0, show_default=True, help="How long the load lasts.")
@click.option("--warm", default=200, show_default=True, help="Requests sent before anything is counted.")
@click.option("--k", default=20, show_default=True)
@click.option(
    "--popular", default=0.0, show_default=True, help=f"Share of requests that ask one of {POPULAR} questions."
)
@click.option("--filtered", is_flag=True, help="Ask for one subset of a hundred.")
def main(
    vectors: Path,
    count: int,
    dimension: int,
    rate: float,
    seconds: float,
    warm: int,
    k: int,
    popular: float,
    filtered: bool,
) -> None:
    """Make the collection where there is none, serve it, load it, report."""
    if not VectorCollection.exists(vectors):
        make_collection(vectors, count, dimension)
    asked = questions(int(rate * seconds) + warm, dimension, popular)
    filters = {"subset": "0007"} if filtered else {}
    bodies = [_body(question, k, filters) for question in asked]
    with serving("serve", "--vectors", str(vectors), "--memory", str(vectors / "none"), seconds=600) as url:
        send_steadily(f"{url}/search", bodies[:warm], rate)
        before = _counted(url)
        load_before = os.getloadavg()
        measured = send_steadily(f"{url}/search", bodies[warm:], rate)
        load_after = os.getloadavg()
        after = _counted(url)
        stats = httpx.get(f"{url}/stats", trust_env=False, timeout=60).json()
    report = Report(
        metrics={
            **_times(measured),
            "failed": measured.failed,
            "recall@10": recall(measured, asked[warm:], count, dimension, filtered=filtered),
            "server": _account(before, after),
            "load_average_before": load_before,
            "load_average_after": load_after,
        },
        settings={
            "count": count, "dimension": dimension, "rate": rate, "seconds": seconds, "k": k, "popular": popular,
            "filtered": filtered, "collection": stats["collection"], "niceness": os.nice(0),
        },
    )  # fmt: skip
    click.echo(report.to_json())


def make_collection(folder: Path, count: int, dimension: int) -> None:
    """Store the points, and build and save the index that their number asks for."""
    collection = VectorCollection.create(folder)
    with tqdm(total=count, unit="vectors", desc="store") as bar:
        for first, points in pieces(count, dimension):
            collection.add(
                [
                    VectorItem(f"point-{number:07d}", point, {"subset": subset_of(number), "source": "synthetic"})
                    for number, point in enumerate(points, first)
                ]
            )
            bar.update(len(points))
    with tqdm(total=count, unit="vectors", desc="index") as bar:
        collection.build(lambda done, _total: bar.update(done - bar.n))
    collection.close()


def subset_of(number: int) -> str:
    """One of a hundred subsets, by number of the point."""
    return f"{number % 100:04d}"


def pieces(count: int, dimension: int) -> Iterator[tuple[int, FloatArray]]:
    """The points of the collection, unit rows, piece by piece with the number of the first."""
    for first in range(0, count, PIECE):
        yield first, _points(min(PIECE, count - first), dimension, seed=1 + first)


def questions(count: int, dimension: int, popular: float) -> FloatArray:
    """Points that are not in the collection; a share of them asked again and again."""
    asked = _points(count, dimension, seed=-1)
    rng = np.random.default_rng(7)
    again = rng.random(count) < popular
    asked[again] = _points(POPULAR, dimension, seed=-2)[rng.integers(0, POPULAR, int(again.sum()))]
    return asked


def recall(measured: Measured, asked: FloatArray, count: int, dimension: int, *, filtered: bool) -> float:
    """Share of the true ten nearest among the first ten answered, over some of the requests."""
    numbers = sorted(measured.bodies)[:CHECKED]
    queries = asked[numbers]
    scores = np.full((len(numbers), 10), -np.inf, dtype=np.float32)
    nearest = np.full((len(numbers), 10), -1, dtype=np.int64)
    for first, points in pieces(count, dimension):
        similarities = queries @ points.T
        if filtered:
            similarities[:, [subset_of(first + row) != "0007" for row in range(len(points))]] = -np.inf
        ids = np.broadcast_to(np.arange(first, first + len(points)), similarities.shape)
        scores, nearest = np.hstack((scores, similarities)), np.hstack((nearest, ids))
        best = np.argpartition(-scores, 10, axis=1)[:, :10]
        scores, nearest = np.take_along_axis(scores, best, axis=1), np.take_along_axis(nearest, best, axis=1)
    found = 0
    for row, number in enumerate(numbers):
        answered = {int(hit["id"].rpartition("-")[2]) for hit in json.loads(measured.bodies[number])["results"][:10]}
        found += len(answered & set(nearest[row].tolist()))
    return found / max(1, 10 * len(numbers))


def _points(count: int, dimension: int, seed: int) -> FloatArray:
    centres = _unit(np.random.default_rng(0).standard_normal((CENTRES, dimension), dtype=np.float32))
    rng = np.random.default_rng(seed % 2**63)
    noise = _unit(rng.standard_normal((count, dimension), dtype=np.float32))
    return _unit(centres[rng.integers(0, CENTRES, count)] + SPREAD * noise)


def _unit(rows: FloatArray) -> FloatArray:
    unit: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def _body(question: FloatArray, k: int, filters: dict[str, str]) -> bytes:
    vector = [round(number, 6) for number in question.tolist()]
    return json.dumps({"vector": vector, "k": k, "metric": "cosine", "filters": filters}).encode()


def _times(measured: Measured) -> dict[str, float]:
    milliseconds = np.asarray(measured.seconds or [np.nan]) * 1e3
    p50, p95, p99 = np.percentile(milliseconds, (50, 95, 99))
    return {
        "answered": len(measured.seconds),
        "requests_per_second": round(len(measured.seconds) / measured.wall, 2),
        "p50_ms": round(float(p50), 2),
        "p95_ms": round(float(p95), 2),
        "p99_ms": round(float(p99), 2),
        "max_ms": round(float(milliseconds.max()), 2),
        "sent_late_p99_ms": round(float(np.percentile(measured.late or [np.nan], 99)) * 1e3, 2),
    }


def _counted(url: str) -> dict[str, float]:
    text = httpx.get(f"{url}/metrics", trust_env=False, timeout=60).text
    return {
        sample.name + (sample.labels.get("route", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("route", "/search") == "/search" and "le" not in sample.labels
    }


def _account(before: dict[str, float], after: dict[str, float]) -> dict[str, Any]:
    """Where the time went inside the server, mean a request or batch."""

    def grown(name: str) -> float:
        return after.get(name, 0.0) - before.get(name, 0.0)

    batches = max(1.0, grown("cem_rag_search_batch_seconds_count"))
    return {
        "request_mean_ms": round(
            1e3
            * grown("cem_rag_http_request_seconds_sum/search")
            / max(1.0, grown("cem_rag_http_request_seconds_count/search")),
            2,
        ),
        "batch_mean_ms": round(1e3 * grown("cem_rag_search_batch_seconds_sum") / batches, 2),
        "batch_mean_size": round(grown("cem_rag_search_batch_size_sum") / batches, 2),
        "from_cache": int(grown("cem_rag_search_cache_hits_total")),
        "processor_ms_per_request": round(
            1e3 * grown("process_cpu_seconds_total") / max(1.0, grown("cem_rag_http_request_seconds_count/search")), 2
        ),
        "resident_mb": round(after.get("process_resident_memory_bytes", 0.0) / 2**20),
    }


if __name__ == "__main__":
    main()
