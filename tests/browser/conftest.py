"""The chat served by the real command, from a memory built by the real commands, in a real browser."""

from __future__ import annotations

import pytest

from scripts.browser import missing, open_page
from scripts.processes import serving
from tests.serving import build_memory


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/browser" in item.path.as_posix():
            item.add_marker(pytest.mark.enable_socket)
            item.add_marker(pytest.mark.browser)
            if missing():
                item.add_marker(pytest.mark.skip(reason=f"a browser test: {missing()}"))


@pytest.fixture(scope="session")
def memory(tmp_path_factory):
    return build_memory(tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="session")
def address(memory):
    with serving("serve", "--memory", str(memory)) as url:
        yield url


@pytest.fixture
def page(address):
    with open_page(address) as page:
        page.wait(lambda: page.deep(".bubble"))
        page.settle()
        yield page
