"""The doors into mteb: ``mteb.evaluate`` runs CEM and text encoders alike (extra ``bench``).

`MtebEncoder` gives vectors, so any task of embeddings can be run with it. For CEM a document goes through compression,
frames and CEM, a query through the teacher (I4). `MtebSearch` ranks by itself, for what is no vector a document: BM25,
and the best chunk of a long document. mteb is imported by the functions here, never by this module.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cem_rag_app.cem.pair import FrameEncoder
from cem_rag_app.cem.teachers.base import TextEncoder
from cem_rag_app.errors import MissingDependencyError, SettingsError
from cem_rag_app.evaluation.collections import Collection
from cem_rag_app.evaluation.documents import PackDocuments, TextDocuments, pack_corpus
from cem_rag_app.evaluation.rankings import Reading, frame_settings
from cem_rag_app.evaluation.retrieval import Scores
from cem_rag_app.schema import FloatArray
from cem_rag_app.settings import PackSettings

QUERY = "query"


class MtebEncoder:
    """Follows mteb's ``EncoderProtocol``.

    Args:
        query: reads text: queries, and documents too where no student is given.
        student: reads documents, compressed; None: the text encoder does.
        reading: how documents longer than a chunk are read; the best chunk is no vector, see `MtebSearch`.
        pack: level and dictionary of the frames.

    Raises:
        SettingsError: the pooling ``max``.
        MissingDependencyError: mteb is not installed.
    """

    def __init__(
        self,
        query: TextEncoder,
        student: FrameEncoder | None = None,
        *,
        reading: Reading | None = None,
        pack: PackSettings | None = None,
    ) -> None:
        self._reading = reading or Reading("whole" if student is None else "mean")
        if self._reading.pooling == "max":
            raise SettingsError(
                "The best chunk is no vector of a document.", remedy="Use MtebSearch, or mean or whole."
            )
        self._query = query
        self._student = student
        self._pack = pack or PackSettings()
        self.mteb_model_meta = model_meta(query.name if student is None else student.name, query.dimension)

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        **kwargs: Any,
    ) -> FloatArray:
        """Encode batches of mteb's.

        Args:
            inputs: batches, each with a list under ``text``.
            task_metadata: not used, like the next two: neither CEM nor its teachers take instructions.
            hf_split: not used.
            hf_subset: not used.
            prompt_type: ``query`` for queries; anything else is a document.
            kwargs: batch size and the like, which the encoders settle themselves.

        Returns:
            (n, d) float32, unit rows.
        """
        texts = [text for batch in inputs for text in batch["text"]]
        # An enum of strings in mteb; its value is what is meant.
        if getattr(prompt_type, "value", prompt_type) == QUERY:
            return self._query.encode_queries(texts)
        corpus = {str(number): text for number, text in enumerate(texts)}
        if self._student is None:
            return TextDocuments(corpus, self._query, chunk_target=self._reading.cut).encode_corpus_ids(list(corpus))
        pack = frame_settings(self._student, self._pack)
        with tempfile.TemporaryDirectory(prefix="cem-rag-mteb-") as folder:
            packed = pack_corpus(corpus, Path(folder) / "corpus.zpkg", pack, chunk_target=self._reading.cut)
            return PackDocuments(packed, self._student, self._query).encode_corpus_ids(list(corpus))

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Return inner products, a torch tensor (n, m): rows are of length 1, so they are cosines."""
        import torch

        return torch.as_tensor(embeddings1) @ torch.as_tensor(embeddings2).T

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Return inner products row by row, a torch tensor (n,)."""
        import torch

        return (torch.as_tensor(embeddings1) * torch.as_tensor(embeddings2)).sum(dim=-1)


class MtebSearch:
    """Follows mteb's ``SearchProtocol``: ranks a retrieval task's corpus with a function of ours.

    Args:
        name: of the model, for mteb's records.
        rank: gives a ranking of a collection.

    Raises:
        MissingDependencyError: mteb is not installed.
    """

    def __init__(self, name: str, rank: Callable[[Collection], Scores]) -> None:
        self._rank = rank
        self._corpus: dict[str, str] = {}
        self.mteb_model_meta = model_meta(name, None)

    def index(self, corpus: Any, **kwargs: Any) -> None:
        """Take the corpus: rows with ``id``, ``text`` and perhaps ``title``."""
        self._corpus = {row["id"]: "\n".join(filter(None, (row.get("title"), row["text"]))) for row in corpus}

    def search(self, queries: Any, *, top_k: int, **kwargs: Any) -> Scores:
        """Rank the corpus for queries, rows with ``id`` and ``text``: query id -> document id -> score."""
        asked = {row["id"]: row["text"] for row in queries}
        run = self._rank(Collection("mteb", self._corpus, asked, {}))
        return {query: _first(run.get(query, {}), top_k) for query in asked}


def model_meta(name: str, dimension: int | None) -> Any:
    """Return mteb's record of a model.

    Raises:
        MissingDependencyError: mteb is not installed.
    """
    try:
        from mteb.models import ModelMeta
    except ImportError as error:
        raise MissingDependencyError("mteb is not installed.", remedy="pip install 'cem-rag[bench]'") from error
    # mteb's names have an organisation and no further slash or colon.
    plain = name.replace("/", "_").replace(":", "_")
    return ModelMeta.create_empty({"name": f"cem-rag/{plain}", "revision": "1", "embed_dim": dimension})


def evaluate_task(task: Any, model: Any) -> dict[str, dict[str, float]]:
    """Run one mteb task without its cache; returns split -> measure -> figure."""
    import mteb

    result = mteb.evaluate(model, task, cache=None, co2_tracker=False, show_progress_bar=False)
    scores = result.task_results[0].scores
    return {
        split: {name: value for name, value in subsets[0].items() if isinstance(value, float)}
        for split, subsets in scores.items()
    }


def _first(scores: Mapping[str, float], count: int) -> dict[str, float]:
    ordered: Sequence[tuple[str, float]] = sorted(scores.items(), key=lambda item: -item[1])
    return dict(ordered[:count])
