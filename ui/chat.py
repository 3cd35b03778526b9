"""The web chat, run by Streamlit for every interaction. It talks to the service through `ui.client` alone.

A message is drawn first and answered afterwards: the run that takes the input puts the person's own bubble and a typing
sign on screen, then asks the service, then starts the next run, which draws the reply.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from cem_rag_app.errors import CemRagError
from cem_rag_app.settings import Settings
from ui import strings
from ui.client import Client
from ui.components import messenger, recalled
from ui.wire import MAX_TEXT, Messages

WINDOW = 60
"""Messages drawn at first, and added by each "earlier"."""

MOST_SHOWN = 500
"""Messages drawn at most; the service gives no more at once."""

ANONYMOUS = ("user", "")
"""Speakers of what was typed here."""

EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - recognised, not bound


@dataclass
class Pending:
    """A message that has no reply yet."""

    turn_id: str
    text: str
    timestamp: float


@dataclass
class View:
    """What one browser tab shows."""

    page: Messages
    shown: int = WINDOW
    pending: list[Pending] = field(default_factory=list)
    problem: str = ""
    """Why the oldest pending message has no reply."""
    notice: str = ""
    """Why something else did not work; shown once."""
    hits: list[dict[str, Any]] = field(default_factory=list)
    status: dict[str, Any] = field(default_factory=dict)

    def reload(self, client: Client) -> None:
        """Fetch the messages and the state of the memory again."""
        self.page = client.messages(limit=min(self.shown, MOST_SHOWN))
        self.status = client.status().model_dump()


def page(client: Client) -> None:
    """Draw the whole page."""
    try:
        view = _view(client)
    except CemRagError as error:
        _no_memory(str(error))
        return
    if not view.page.persona:
        st.text(strings.DOCUMENTS)
        st.code(strings.DOCUMENTS_HELP, language=None)
        return
    said = st.chat_input(strings.INPUT, max_chars=MAX_TEXT)
    if said and said.strip():
        view.pending.append(Pending(uuid.uuid4().hex, said.strip(), _now()))
    messenger(
        _drawn(view),
        on_mark=lambda: _mark(client, view),
        on_earlier=lambda: _earlier(client, view),
    )
    _sidebar(view)
    if view.notice:
        st.warning(strings.NOT_DONE)
        st.text(view.notice)
        view.notice = ""
    if view.problem:
        _failed(view)
    elif view.pending:
        _answer(client, view)
        st.rerun()


def _view(client: Client) -> View:
    if "view" not in st.session_state:
        view = View(page=client.messages(limit=WINDOW))
        view.status = client.status().model_dump()
        st.session_state.view = view
    return st.session_state.view  # type: ignore[no-any-return]


def _drawn(view: View) -> dict[str, Any]:
    """Return what the bubbles are drawn from: what is remembered, then what waits for its reply."""
    persona = view.page.persona
    messages = [
        {
            **message.model_dump(),
            "key": str(message.message_id),
            "speaker": strings.ME if message.speaker in ANONYMOUS else message.speaker,
        }
        for message in view.page.messages
    ]
    messages += [
        {
            "message_id": 0,
            "key": pending.turn_id,
            "role": "user",
            "speaker": strings.ME,
            "text": pending.text,
            "timestamp": pending.timestamp,
            "marked": False,
        }
        for pending in view.pending
    ]
    words = {
        **strings.MESSENGER,
        "disclosure": strings.DISCLOSURE.format(persona=persona),
        "voice": strings.OFFLINE_VOICE if view.page.offline else "",
    }
    return {
        "persona": persona,
        "messages": messages,
        "typing": bool(view.pending) and not view.problem,
        "more": view.page.more and len(view.page.messages) < MOST_SHOWN,
        "strings": words,
    }


def _answer(client: Client, view: View) -> None:
    """Have the oldest waiting message answered. Sending a turn again repeats nothing, so a broken run is harmless."""
    waiting = view.pending[0]
    try:
        reply = client.chat(waiting.text, turn_id=waiting.turn_id)
        view.shown += 1 + len(reply.bubbles)
        view.reload(client)
    except CemRagError as error:
        view.problem = str(error)
        return
    view.hits = reply.record.get("hits", [])
    view.pending.remove(waiting)


def _failed(view: View) -> None:
    st.warning(strings.FAILED)
    st.text(view.problem)
    retry, drop, _ = st.columns([1, 1, 4])
    if retry.button(strings.RETRY, type="primary", width="stretch"):
        view.problem = ""
        st.rerun()
    if drop.button(strings.DROP, width="stretch"):
        view.problem = ""
        view.pending.clear()
        st.rerun()


def _mark(client: Client, view: View) -> None:
    wanted = st.session_state["messenger"].mark
    if not wanted:
        return
    try:
        mark = client.mark(int(wanted["message_id"]), good=bool(wanted["good"]))
    except CemRagError as error:
        view.notice = str(error)
        return
    for message in view.page.messages:
        if message.message_id == mark.message_id:
            message.marked = mark.good


def _earlier(client: Client, view: View) -> None:
    try:
        view.page = client.messages(limit=min(view.shown + WINDOW, MOST_SHOWN))
    except CemRagError as error:
        view.notice = str(error)
        return
    view.shown = len(view.page.messages)


def _sidebar(view: View) -> None:
    with st.sidebar:
        st.subheader(strings.TITLE)
        st.caption(strings.MEMORY)
        for label, value in strings.status_lines(view.status):
            name, number = st.columns(2)
            name.text(label)
            number.text(value)
        with st.expander(strings.WHY, expanded=bool(view.hits)):
            if view.hits:
                recalled(view.hits, strings.HITS)
            else:
                st.text(strings.WHY_EMPTY)


def _no_memory(problem: str) -> None:
    st.subheader(strings.NO_MEMORY)
    st.text(problem)
    st.code(strings.NO_MEMORY_HELP, language="bash")


def _now() -> float:
    import time

    return time.time()


@st.cache_resource
def _service(url: str) -> Client:
    key = Settings().server.api_key  # this process's own: the page is served by the one that asks for it
    return Client(url, api_key=None if key is None else key.get_secret_value())


def _own_address() -> str:
    """Return where this very process serves its API."""
    address = st.get_option("server.address") or ""
    host = "127.0.0.1" if address in EVERYWHERE else f"[{address}]" if ":" in address else address
    return f"http://{host}:{st.get_option('server.port')}/api"


if __name__ == "__main__":
    st.set_page_config(page_title=strings.TITLE, page_icon="💬", layout="centered")
    page(_service(_own_address()))
