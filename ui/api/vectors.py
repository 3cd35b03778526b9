"""The routes of the vector service: requests and answers as the seed gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from fastapi import FastAPI, HTTPException, Path, Response

from cem_rag_app.errors import DimensionError, InputError
from stores.vectors.items import FusionSettings, SearchRequest, VectorItem
from ui.api.searches import Searches
from ui.wire import ErrorBody
from ui.wire_vectors import (
    MAX_CELLS,
    Added,
    AddRequest,
    CacheStats,
    Deleted,
    Item,
    Latency,
    SearchBody,
    SearchResults,
    Stored,
    VectorId,
    VectorStats,
)

if TYPE_CHECKING:
    from cem_rag_app.schema import FloatArray
    from stores.vectors.service import VectorCollection
    from ui.api.metrics import Metrics

UNUSED = -1.0
"""An argument that a command does not take."""

Id = Annotated[VectorId, Path(description="The id, slashes and all.")]
_NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": ErrorBody, "description": "No item has that id."}}


def add_vector_routes(
    api: FastAPI, collection: Callable[[], VectorCollection], searches: Searches, metrics: Metrics, max_items: int
) -> None:
    """Add the routes.

    Args:
        api: What they are added to.
        collection: Gives the open collection; raises where none is served.
        searches: Answers searches.
        metrics: Where everything is counted.
        max_items: Items of one addition at most.
    """

    @api.post("/vectors")
    def add_vectors(request: AddRequest) -> Added:
        """Store vectors, all or none of them; what is acknowledged is on disk.

        An id that is there already counts as a duplicate and is left as it is, unless `replace` is true.
        """
        if len(request.items) > max_items:
            raise InputError(
                f"One request may bring {max_items} vectors, and this one has {len(request.items)}.",
                remedy="Send them in several requests.",
            )
        cells = sum(_cells(item.vec) for item in request.items if item.vec is not None)
        if cells > MAX_CELLS:
            raise InputError(
                f"The macro sequences have {cells} numbers, short rows filled up, and {MAX_CELLS} is the most.",
                remedy="Send them in several requests, and no row far longer than the others.",
            )
        with _dimension_is_input():
            report = collection().add([_item(item) for item in request.items], replace=request.replace)
        metrics.inserted.inc(report.inserted)
        metrics.duplicates.inc(report.duplicates)
        return Added(inserted=report.inserted, duplicates=report.duplicates)

    @api.get("/vectors/{id:path}", responses=_NOT_FOUND)
    def get_vector(id: Id) -> Stored:
        """Return one vector with its metadata and its macro sequence."""
        found = collection().get(id)
        if found is None:
            raise _unknown(id)
        return Stored(
            id=found.id,
            z=found.z.tolist(),
            metadata=found.metadata,
            vec=None if found.vec is None else found.vec.tolist(),
        )

    @api.delete("/vectors/{id:path}", responses=_NOT_FOUND)
    def delete_vector(id: Id) -> Deleted:
        """Delete one vector; the next search does not find it."""
        if not collection().delete(id):
            raise _unknown(id)
        metrics.deleted.inc()
        return Deleted(id=id)

    @api.post("/search", response_model=SearchResults)
    def search(request: SearchBody) -> Response:
        """Find the nearest vectors; with `vec`, the best `stageN` of them are compared by their macro sequences too."""
        with _dimension_is_input():
            return Response(searches.answer(_request(request)), media_type="application/json")

    @api.get("/stats")
    def stats() -> VectorStats:
        """Say what the collection holds, how quickly it is searched, and what the cache saves."""
        searched, p50, p95, p99 = metrics.percentiles()
        return VectorStats(
            collection=collection().stats(),
            latency=Latency(searches=searched, p50_ms=p50, p95_ms=p95, p99_ms=p99),
            cache=CacheStats(
                entries=len(searches.cache),
                hits=metrics.value("cem_rag_search_cache_hits_total"),
                misses=metrics.value("cem_rag_search_cache_misses_total"),
            ),
        )


def _item(item: Item) -> VectorItem:
    return VectorItem(
        id=item.id,
        z=np.asarray(item.z, dtype=np.float32),
        metadata=item.metadata.model_dump(exclude_unset=True),
        vec=None if item.vec is None else _matrix(item.vec),
    )


def _request(body: SearchBody) -> SearchRequest:
    fusion = body.fusion
    return SearchRequest(
        vector=np.asarray(body.vector, dtype=np.float32),
        k=body.k,
        metric=body.metric,
        filters=body.filters,
        stage_n=body.stage_n,
        fusion=FusionSettings(method=fusion.method, alpha=fusion.alpha, beta=fusion.beta, k0=fusion.k0),
        vec=None if body.vec is None else _matrix(body.vec),
        second_stage=body.second_stage,
    )


def _matrix(rows: list[list[float]]) -> FloatArray:
    """Rows of different lengths are filled up with what stands for an argument that is not used."""
    matrix = np.full((len(rows), max(map(len, rows))), UNUSED, dtype=np.float32)
    for filled, row in zip(matrix, rows, strict=True):
        filled[: len(row)] = row
    return matrix


def _cells(rows: list[list[float]]) -> int:
    return len(rows) * max(map(len, rows))


def _unknown(item_id: str) -> HTTPException:
    return HTTPException(404, f"No vector has the id {item_id!r}.")


@contextmanager
def _dimension_is_input() -> Iterator[None]:
    """Whoever sends a vector over HTTP chose its length: 422, not 500."""
    try:
        yield
    except DimensionError as error:
        raise InputError(str(error)) from error
