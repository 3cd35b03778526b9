"""The two parts of the page that Streamlit has no widget for: the list of bubbles and the recalled lines.

Both take plain data and put every text into the page through ``textContent``, so nothing that a memory holds is ever
read as HTML or Markdown.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

from streamlit.components.v2 import component

_ASSETS = files("ui") / "assets"

_MESSENGER_HTML = """
<section class="messenger">
  <header>
    <div class="face" aria-hidden="true"></div>
    <div><h1 class="name"></h1><p class="disclosure"></p><p class="voice"></p></div>
  </header>
  <div class="list" role="log" aria-live="polite"></div>
  <div class="end"></div>
</section>
"""


def _define(name: str, html: str) -> Callable[..., Any]:
    # Inline sources: file-backed assets need a manifest and are resolved relative to the running script.
    script, style = ((_ASSETS / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
    return component(f"cem_rag_{name}", html=html, js=script, css=style)


def messenger(data: dict[str, Any], *, on_mark: Callable[[], None], on_earlier: Callable[[], None]) -> None:
    """Draw the bubbles.

    Args:
        data: ``persona``, ``messages`` (each a `MessageOut` as a dict with a ``key``), ``typing``, ``more`` and
            ``strings``.
        on_mark: Called when a mark was set or taken back; ``st.session_state["messenger"].mark`` says which.
        on_earlier: Called when earlier messages are wanted.
    """
    _define("messenger", _MESSENGER_HTML)(
        key="messenger", data=data, on_mark_change=on_mark, on_earlier_change=on_earlier
    )


def recalled(hits: list[dict[str, Any]], strings: dict[str, str]) -> None:
    """Draw what a turn recalled: the lines and the parts of each score (hits as a turn's record holds them)."""
    _define("hits", '<div class="hits"></div>')(key="hits", data={"hits": hits, "strings": strings})
