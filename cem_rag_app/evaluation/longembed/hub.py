"""The three tasks whose data lives on the Hugging Face hub alone; they are run through mteb where it can be reached."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from typing import Any

from cem_rag_app.errors import MissingDependencyError
from cem_rag_app.evaluation.longembed.models import Model

HUB_TASKS = {
    "narrativeqa": "LEMBNarrativeQARetrieval",
    "2wikimqa": "LEMBWikimQARetrieval",
    "summscreenfd": "LEMBSummScreenFDRetrieval",
}
"""Task -> its name in mteb."""

TIMEOUT = 10


class NotRunError(Exception):
    """A task's data cannot be had here; the message is the reason. It ends up in the summary, not at the user."""


def run_on_hub(task: str, model: Model) -> dict[str, float]:
    """Run one of :data:`HUB_TASKS` through mteb.

    Returns:
        The report's measures of the task's test split.

    Raises:
        NotRunError: mteb is not installed, or neither the hub nor a copy of the data is there.
    """
    from cem_rag_app.evaluation.mteb_encoder import MtebSearch, evaluate_task

    try:
        searcher = MtebSearch(model.name, model.rank)
    except MissingDependencyError as error:
        raise NotRunError(f"needs mteb: {error}") from error
    reason = hub_missing()
    if reason:
        raise NotRunError(f"needs the hub: {reason}")
    try:
        scores = evaluate_task(_task(task), searcher)
    except OSError as error:  # what datasets raises for a hub that went away and for data that is not there
        raise NotRunError(f"needs the hub: {error}") from error
    test = scores["test"]
    return {
        "ndcg@1": round(test["ndcg_at_1"], 5),
        "ndcg@10": round(test["ndcg_at_10"], 5),
        "mrr@10": round(test["mrr_at_10"], 5),
        "recall@10": round(test["recall_at_10"], 5),
        "recall@100": round(test["recall_at_100"], 5),
    }


def hub_missing() -> str:
    """Return why the hub cannot be reached, or "" where it can, or where only its cache is meant to be asked.

    ``HF_ENDPOINT`` and ``HF_HUB_OFFLINE`` are the hub's own variables, and mean here what they mean to its client.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return ""  # the cache may hold the data, and the loader says at once when it does not
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        request = urllib.request.Request(endpoint, method="HEAD")  # noqa: S310 - the hub's own address
        with urllib.request.urlopen(request, timeout=TIMEOUT):  # noqa: S310
            return ""
    except urllib.error.HTTPError:
        return ""  # it answered
    except (OSError, ValueError) as error:
        return f"{endpoint} cannot be reached ({error})"


def _task(name: str) -> Any:
    import mteb

    return mteb.get_task(HUB_TASKS[name])
