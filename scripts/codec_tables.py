"""The codec study's points as tables, and which of them lie on the frontier."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Point = Mapping[str, Any]


def quality(point: Point) -> float:
    """Mean nDCG@10 over the collections."""
    scores = point["ndcg@10"].values()
    return sum(scores) / len(scores)


def scored(points: Sequence[Point]) -> list[Point]:
    """Points that have a score."""
    return [point for point in points if "ndcg@10" in point]


def frontier(points: Sequence[Point]) -> list[Point]:
    """Points that no other beats: none has fewer or as many bytes a chunk at a better score, or fewer at the same.

    In order of bytes.
    """
    best: list[Point] = []
    for point in sorted(points, key=lambda one: (one["bytes_per_chunk"], -quality(one))):
        if not best or quality(point) > quality(best[-1]):
            best.append(point)
    return best


def tables(points: Sequence[Point]) -> str:
    """Markdown: a table for each view."""
    found = []
    for view in dict.fromkeys(point["view"] for point in points):
        own = [point for point in points if point["view"] == view]
        names = next((list(point["ndcg@10"]) for point in own if "ndcg@10" in point), [])
        heads = ["level", "dictionary", "literals", "chunk", "bytes a chunk", "share of text", "sequences"]
        columns = [*heads, *names, "chunks a second"]
        lines = [f"## {view}", "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
        refusals = [point for point in own if "refused" in point]
        lines += [f"| {' | '.join(_row(point, names))} |" for point in own if "refused" not in point]
        if refusals:
            lines += [
                "",
                f"Refused, because this view cannot read them: {len(refusals)} of {len(own)} ways to compress.",
            ]
        found.append("\n".join(lines) + "\n")
    return "\n".join(found)


def _row(point: Point, names: Sequence[str]) -> list[str]:
    cell: dict[str, Callable[[Any], str]] = {"ndcg": lambda score: f"{score:.4f}".lstrip("0")}
    speed = point.get("chunks_per_second", {}).get("whole")
    return [
        str(point["level"]),
        point["dictionary"],
        "raw" if point["raw_literals"] else "coded",
        str(point["chunk_target"]),
        f"{point['bytes_per_chunk']:.1f}",
        f"{point['share']:.3f}",
        f"{point['sequences']:.1f}",
        *(cell["ndcg"](point["ndcg@10"][name]) for name in names),
        "" if speed is None else f"{speed:,.0f}",
    ]
