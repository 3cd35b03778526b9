"""A key protects every route that tells or changes anything; without one set, the API is open."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from cem_rag_app.errors import MemoryCorruptError
from cem_rag_app.settings import ServerSettings, Settings
from tests.fakes.services import fake_services
from tests.fakes.vectors import FakeCollection
from ui.api.app import create_api
from ui.api.keys import OPEN

KEY = "correct-horse-battery-staple"


def api(key=KEY):
    services, memory, _ = fake_services(
        (("user", "你好"),), vectors=FakeCollection(), settings=Settings(server=ServerSettings(api_key=key))
    )
    return create_api(services), memory


def operations(app):
    return [(method.upper(), path) for path, found in app.openapi()["paths"].items() for method in found]


def client(app, **headers):
    return TestClient(app, base_url="http://127.0.0.1", headers=headers)


def test_every_route_but_health_and_the_documentation_asks_for_the_key():
    app, memory = api()
    refused = {
        (method, path): client(app).request(method, path.replace("{id}", "x"), content=b"{not json")
        for method, path in operations(app)
        if path not in OPEN
    }
    assert len(refused) == len(operations(app)) - 1
    for place, answer in refused.items():
        assert answer.status_code == 401, place
        assert answer.json()["error"] == "KeyRequired"
        assert "Authorization: Bearer KEY" in answer.json()["message"]
        assert answer.headers["www-authenticate"] == "Bearer"
    assert len(memory.messages) == 1


def test_health_and_the_documentation_are_open():
    app, _ = api()
    for path in ("/healthz", "/docs", "/openapi.json"):
        assert client(app).get(path).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"Authorization": f"Bearer {KEY}"}, {"authorization": f"bearer {KEY}"}, {"X-API-Key": KEY}]
)
def test_the_key_opens_as_bearer_or_as_a_header_of_its_own(headers):
    app, _ = api()
    assert client(app, **headers).get("/messages").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {KEY[:-1]}"},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"X-API-Key": ""},
        {"X-API-Key": KEY.upper()},
    ],
)
def test_anything_else_does_not(headers):
    app, _ = api()
    assert client(app, **headers).get("/messages").status_code == 401


@pytest.mark.parametrize("path", ["/nowhere", "/docs/../messages", "/healthz/", "//healthz", "/messages#/docs"])
def test_no_path_leads_around_it(path):
    app, _ = api()
    answer = client(app).get(path, follow_redirects=False)
    assert answer.status_code == 401


def test_without_a_key_set_everything_is_open():
    services, _, _ = fake_services((("user", "你好"),))
    app = create_api(services)
    assert client(app).get("/messages").status_code == 200
    assert "securitySchemes" not in app.openapi()["components"]


def test_the_description_names_the_key_where_it_is_asked_for():
    app, _ = api()
    described = app.openapi()
    assert set(described["components"]["securitySchemes"]) == {"Bearer", "ApiKey"}
    assert described["paths"]["/search"]["post"]["security"] == [{"Bearer": []}, {"ApiKey": []}]
    assert "401" in described["paths"]["/search"]["post"]["responses"]
    assert described["paths"]["/healthz"]["get"]["security"] == []


def test_without_the_key_health_is_one_word_and_the_reason_goes_to_the_log(caplog):
    app, memory = api()

    def broken():
        raise MemoryCorruptError("/home/me/memory is damaged.")

    memory.status = broken
    stranger, owner = client(app).get("/healthz"), client(app, **{"X-API-Key": KEY}).get("/healthz")
    assert (stranger.status_code, stranger.json()) == (503, {"status": "unavailable", "detail": ""})
    assert "/home/me/memory is damaged." in caplog.text
    assert (owner.status_code, owner.json()["detail"]) == (503, "/home/me/memory is damaged.")


def test_a_key_that_is_easily_guessed_is_refused():
    with pytest.raises(ValueError, match="at least 16"):
        ServerSettings(api_key="secret")
