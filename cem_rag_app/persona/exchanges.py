"""Messages -> exchanges: what was said to the person, and what they answered.

An exchange is the unit that is compressed (one chunk, one frame), so that each message's text is stored exactly once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cem_rag_app.schema import Message

MAX_MESSAGES = 18
"""An exchange never holds more messages than a segment has lines (blueprint section 3.2)."""

MAX_CHARACTERS = 2_000
"""Of text in one exchange; a single longer message stands alone. Keeps a chunk far below its limit of 1 MiB."""

MAX_SILENCE_SECONDS = 12 * 3600.0
"""After this silence the next message opens an exchange: good morning does not answer last week's question."""


def exchanges(
    messages: Iterable[Message],
    *,
    max_messages: int = MAX_MESSAGES,
    max_characters: int = MAX_CHARACTERS,
    max_silence_seconds: float = MAX_SILENCE_SECONDS,
) -> Iterator[tuple[Message, ...]]:
    """Partition messages, in their order, into exchanges.

    An exchange is a run of ``user`` messages followed by the run of ``assistant`` messages that answers it; either
    run may be empty. A new one opens when a user speaks after the person, when the conversation changes, after a long
    silence, and when the exchange is full. Lazy: holds one exchange in memory.

    Args:
        messages: In order of speech.
        max_messages: Messages in an exchange at most, >= 1.
        max_characters: Characters of text in an exchange at most, unless a single message is longer.
        max_silence_seconds: Silence after which the next message opens a new exchange.

    Yields:
        Non-empty tuples; chained together they are exactly ``messages``.
    """
    if max_messages < 1:
        raise ValueError("max_messages must be at least 1")
    current: list[Message] = []
    characters = 0
    for message in messages:
        if current:
            last = current[-1]
            if (
                (message.role == "user" and last.role == "assistant")
                or message.conversation != last.conversation
                or message.timestamp - last.timestamp > max_silence_seconds
                or len(current) >= max_messages
                or characters + len(message.text) > max_characters
            ):
                yield tuple(current)
                current = []
                characters = 0
        current.append(message)
        characters += len(message.text)
    if current:
        yield tuple(current)
