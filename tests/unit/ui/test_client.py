"""The typed client against the real API in process, and against a service that is not there."""

from __future__ import annotations

import httpx
import pytest
from starlette.testclient import TestClient

from cem_rag_app.errors import MissingKeyError, ServiceError
from cem_rag_app.settings import ServerSettings, Settings
from tests.fakes.services import fake_services
from tests.fakes.vectors import FakeCollection
from ui.api.app import create_api
from ui.client import Client
from ui.wire_vectors import Added, Item, Metadata, SearchBody


class InProcess(httpx.BaseTransport):
    """Hands requests to an ASGI application."""

    def __init__(self, app):
        self._client = TestClient(app, base_url="http://127.0.0.1")

    def handle_request(self, request):
        answer = self._client.request(
            request.method, str(request.url), content=request.read(), headers=dict(request.headers)
        )
        return httpx.Response(answer.status_code, headers=dict(answer.headers), content=answer.content)


def client_of(services, **options):
    return Client("http://127.0.0.1/", transport=InProcess(create_api(services)), **options)


def test_every_call_comes_back_as_its_model():
    services, memory, _ = fake_services((("user", "吃火锅吗"), ("assistant", "好呀")))
    client = client_of(services)
    assert [b.text for b in client.chat("在吗", turn_id="t1").bubbles] == ["在呢", "怎么啦"]
    assert client.mark(2).good is True
    assert [m.text for m in client.messages(limit=2).messages] == ["在呢", "怎么啦"]
    assert client.messages(limit=1, before_id=3).messages[0].marked is True
    assert client.preview("火锅", k=1).hits[0].anchor_text == "吃火锅吗"
    assert client.status().model_dump()["counts"]["messages"] == 5
    assert client.build(limit=3).model_dump()["limit"] == 3
    assert memory.good == {2}


def test_every_call_of_the_vector_service_comes_back_as_its_model():
    collection = FakeCollection()
    services, _, _ = fake_services(vectors=collection)
    client = client_of(services)
    plate = Item(id="0000/a b#?", z=[1, 0], metadata=Metadata(subset="0000", mass=3.5), vec=[[1, 2], [3]])
    assert client.add_vectors([plate, Item(id="gear", z=[0, 1])]) == Added(inserted=2, duplicates=0)
    assert client.add_vectors([plate], replace=True).inserted == 1
    stored = client.vector("0000/a b#?")
    assert (stored.z, stored.vec) == ([1, 0], [[1, 2], [3, -1]])
    assert stored.metadata == {"subset": "0000", "mass": 3.5}
    hit = client.search(SearchBody(vector=[1, 0.1], k=1, filters={"subset": "0000"}, stageN=50)).results[0]
    assert (hit.id, hit.sim_orig) == ("0000/a b#?", None)
    assert client.vector_stats().collection["count"] == 2
    assert client.delete_vector("0000/a b#?").deleted is True
    with pytest.raises(ServiceError, match="No vector has the id '0000/a b#\\?'"):
        client.vector("0000/a b#?")


def test_the_key_goes_with_every_call():
    key = "correct-horse-battery-staple"
    services, _, _ = fake_services((("user", "你好"),), settings=Settings(server=ServerSettings(api_key=key)))
    with pytest.raises(ServiceError, match="This API asks for a key"):
        client_of(services).messages()
    assert client_of(services, api_key=key).messages().messages[0].text == "你好"


def test_the_services_own_words_reach_the_caller():
    services, _, _ = fake_services(failures=[MissingKeyError("No key.", remedy="Set one.")])
    with pytest.raises(ServiceError, match=r"^No key\. Set one\.$"):
        client_of(services).chat("在吗")


def test_a_service_that_is_not_there_is_named_with_what_to_do():
    def nobody(request):
        raise httpx.ConnectError("refused")

    client = Client("http://127.0.0.1:1/api", transport=httpx.MockTransport(nobody))
    with pytest.raises(ServiceError, match=r"127\.0\.0\.1:1/api/ did not answer .* Is `cem-rag serve` running\?"):
        client.status()


def test_an_answer_that_is_no_json_is_told_by_its_status():
    client = Client("http://127.0.0.1/", transport=httpx.MockTransport(lambda _: httpx.Response(502, text="<html>")))
    with pytest.raises(ServiceError, match="The service answered 502"):
        client.status()
