"""From what was measured to one row a store, at one recall for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

TARGET = 0.97

Result = Mapping[str, Any]


def name_of(result: Result) -> str:
    """The peer's name and its build's."""
    return f"{result['peer']} {result['build']}".strip().removesuffix(" default")


def at_target(result: Result, target: float) -> dict[str, Any]:
    """The setting that reaches a recall with the least processor time; where none does, that of the highest recall."""
    curve = result["curve"]
    good = [point for point in curve if point["recall"] >= target]
    chosen = (
        min(good, key=lambda point: point.get("cpu_ms", point["p50_ms"]))
        if good
        else max(curve, key=lambda point: point["recall"])
    )
    return {**chosen, "reached": bool(good)}


def filtered(result: Result, scope: str, mode: str) -> Mapping[str, Any]:
    """What was found under a filter."""
    found: Mapping[str, Any] = next(f for f in result["filters"] if f["scope"] == scope and f["mode"] == mode)
    return found


def search_metrics(results: Sequence[Result], target: float) -> dict[str, Any]:
    """By system the keys of `bench search`; what could not be measured has ``error`` alone."""
    found: dict[str, Any] = {}
    for result in results:
        if "curve" not in result:
            found[name_of(result)] = {"error": result.get("error", "not measured")}
            continue
        row = at_target(result, target)
        metrics = {
            "p50_ms": row["p50_ms"],
            "p95_ms": row["p95_ms"],
            "cpu_ms": row.get("cpu_ms"),
            "recall@10": row["recall"],
            "reached": row["reached"],
            "setting": row["setting"],
        }
        for scope, label in (("percent", "1pct"), ("permille", "01pct")):
            for mode, suffix in (("tuned", ""), ("default", "_default")):
                point = filtered(result, scope, mode)
                metrics[f"filtered_{label}{suffix}_p50_ms"] = point["p50_ms"]
                metrics[f"filtered_{label}{suffix}_recall@10"] = point["recall"]
        for key in ("open_ms", "rss_mb", "rss_library_mb", "curve"):
            metrics[key] = result[key]
        found[name_of(result)] = metrics
    return found


def storage_metrics(results: Sequence[Result], target: float) -> dict[str, Any]:
    """By system the bytes of text and of the whole store, their ratio, and the syncs of a write."""
    found: dict[str, Any] = {}
    for result in results:
        if "bytes" not in result:
            found[name_of(result)] = {"error": result.get("error", "not measured")}
            continue
        metrics: dict[str, Any] = {
            "bytes": {"plain_text": result["text_bytes"], "total": result["bytes"]},
            "ratio": round(result["bytes"] / result["text_bytes"], 4),
            "build_s": result["build_s"],
        }
        if "curve" in result:
            metrics["recall@10"] = at_target(result, target)["recall"]
        if "syncs" in result:
            metrics["syncs_per_write"] = result["syncs"]["per_write"]
            metrics["syncs_at_close"] = result["syncs"]["at_close"]
        found[name_of(result)] = metrics
    return found
