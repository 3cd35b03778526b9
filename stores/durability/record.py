"""The record outside the memory: what a writer began, what was acknowledged, and so what may be found afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Record:
    """For each key the values that a memory may hold; None stands for not at all.

    An acknowledged write leaves one; one that had begun leaves two until the memory has been looked at, and from
    then on only what was found: what can be read after a crash must not change after the next.
    """

    def __init__(self) -> None:
        self._allowed: dict[str, set[str | None]] = {}
        self._begun: dict[str, str | None] = {}
        self.acknowledged = 0
        """Writes and removals acknowledged so far."""

    def take(self, lines: Iterable[str]) -> None:
        """Take in what a writer told."""
        for line in lines:
            what, _, rest = line.partition(" ")
            if what == "?":
                key, _, value = rest.partition("=")
                self._begin(key, value)
            elif what == "-":
                self._begin(rest, None)
            elif what in ("+", "_"):
                self._allowed[rest] = {self._begun[rest]}
                self.acknowledged += 1

    def expect(self, held: Mapping[str, str]) -> None:
        """Take everything in a memory as acknowledged."""
        for key, value in held.items():
            self._allowed[key] = {value}

    def copy(self) -> Record:
        """Another that says the same."""
        other = Record()
        other._allowed = {key: set(values) for key, values in self._allowed.items()}
        other._begun = dict(self._begun)
        return other

    def knows(self, key: str) -> bool:
        """Whether it says anything about a key."""
        return key in self._allowed

    def compare(self, held: Mapping[str, str]) -> list[str]:
        """Hold a memory against the record; says what is lost, changed or invented, and goes on from what was found."""
        wrong = []
        for key, allowed in self._allowed.items():
            found = held.get(key)
            if found not in allowed:
                wrong.append(f"{key} should be {' or '.join(sorted(map(_short, allowed)))} and is {_short(found)}")
            self._allowed[key] = {found}
        wrong += [f"{key} was never written: {_short(held[key])}" for key in held.keys() - self._allowed.keys()]
        return wrong

    def _begin(self, key: str, value: str | None) -> None:
        self._allowed.setdefault(key, {None}).add(value)
        self._begun[key] = value


def _short(value: str | None) -> str:
    return "absent" if value is None else value if len(value) <= 80 else f"{value[:40]}...{value[-40:]}"
