"""Named instants of writing, where a test may end the process. Nothing happens there otherwise.

Every place that changes what a crash would leave behind says so with :func:`reached`: ``reached("packs: switched")``.
:mod:`stores.durability` listens in processes that it starts in order to kill them; nobody else does.
"""

from __future__ import annotations

from collections.abc import Callable

Listener = Callable[[str], None]

_listeners: list[Listener] = []


def reached(name: str) -> None:
    """Say that an instant has come; costs one look at an empty list.

    Args:
        name: ``area: what has just happened``, lower case, kept from release to release.
    """
    for listener in _listeners:
        listener(name)


def listen(listener: Listener) -> None:
    """Call ``listener`` at every instant from now on, in this process."""
    _listeners.append(listener)
