"""Figures that others published. They are printed beside ours, marked as such, and are never measured here.

Source: the authors' result files, https://github.com/dwzhu-pku/LongEmbed, ``results/*/overall_results.json``
(ndcg@1 for passkey and needle, mean over the eight lengths; ndcg@10 for the others).
"""

from __future__ import annotations

PAPER_AVERAGES = {"e5-mistral-7b-instruct": 0.644, "e5-mistral-7b-instruct + NTK, 32k": 0.753}
"""The averages of the six tasks in the paper's table."""

PUBLISHED: dict[str, dict[str, float]] = {
    "e5-mistral-7b-instruct": {
        "passkey": 0.71,
        "needle": 0.4825,
        "narrativeqa": 0.44621,
        "qmsum": 0.43635,
        "summscreenfd": 0.96818,
        "2wikimqa": 0.82111,
    },
    "e5-mistral-7b-instruct + NTK, 32k": {
        "passkey": 0.945,
        "needle": 0.685,
        "narrativeqa": 0.53638,
        "qmsum": 0.50975,
        "summscreenfd": 0.9746,
        "2wikimqa": 0.95003,
    },
}
