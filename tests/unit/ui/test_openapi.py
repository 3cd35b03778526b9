"""The API keeps the promises of its own OpenAPI description, whatever is sent (schemathesis over fakes, in process)."""

from __future__ import annotations

import numpy as np
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from cem_rag_app.settings import ServerSettings, Settings
from stores.vectors.items import VectorItem
from tests.fakes.services import fake_services
from tests.fakes.vectors import FakeCollection
from ui.api.app import create_api

KEY = "correct-horse-battery-staple"
# Bounds over several fields at once, which no schema can tell: their refusal says what to change.
BOUNDS = (b"rows x columns x stageN is",)


def problems(key=None, *, examples):
    """Run every phase of schemathesis; return what it found, as text."""
    # A description cannot say which dimension a collection has: this one takes any.
    collection = FakeCollection([VectorItem("a/b", np.ones(3, np.float32), {"subset": "0000"})], any_dimension=True)
    services, _, _ = fake_services(
        (("user", "吃火锅吗"), ("assistant", "好呀")),
        vectors=collection,
        settings=Settings(server=ServerSettings(api_key=key)),
    )
    config = SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "headers": {"Host": "127.0.0.1"},
            **({} if key is None else {"auth": {"openapi": {"ApiKey": {"api_key": key}}}}),
            "generation": {"max-examples": examples, "deterministic": True, "no-shrink": True},
        }
    )
    schema = schemathesis.openapi.from_asgi(
        "/openapi.json", create_api(services), config=config, headers={"Host": "127.0.0.1"}
    )
    found, checked = [], 0
    for event in from_schema(schema).execute():
        if isinstance(event, (events.NonFatalError, events.FatalError)):
            found.append(repr(event))
        if isinstance(event, events.ScenarioFinished):
            for case, checks in event.recorder.checks.items():
                checked += len(checks)
                exchange = event.recorder.interactions[case]
                found += [
                    f"{event.phase} {event.label} {check.name}: {check.failure_info.failure}\n"
                    f"{exchange.request.uri} {exchange.request.body}\n{exchange.response.content}"
                    for check in checks
                    if check.failure_info is not None and not is_bound(check.name, exchange.response)
                ]
    return found, checked


def is_bound(check, response):
    refused = response is not None and response.status_code == 422
    return refused and check == "positive_data_acceptance" and any(bound in response.content for bound in BOUNDS)


@pytest.mark.slow
@pytest.mark.parametrize(("key", "examples"), [(None, 10), (KEY, 2)])
def test_every_answer_is_one_that_is_described(key, examples):
    found, checked = problems(key, examples=examples)
    assert not found, f"{len(found)} problems:\n\n" + "\n\n".join(found[:20])
    assert checked > 1_000
