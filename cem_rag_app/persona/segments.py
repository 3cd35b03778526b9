"""The stretch of a conversation around an anchor: what recall shows and what a reply is modelled on."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cem_rag_app.schema import Message, Segment


def segment_around(
    anchor: Message,
    context: Sequence[Message],
    *,
    matched: Collection[int] = (),
    before: int = 6,
    after: int = 8,
    max_lines: int = 18,
) -> Segment:
    """Cut the segment around ``anchor`` (blueprint section 3.2).

    Lines are chosen by worth and shown in their order: the anchor; the lines that were matched, wherever they stand;
    the person's whole burst that answers it, even where it runs past ``after``; what the user still said before that
    burst; the lines before, nearest first; the lines after, nearest first. Only lines of the anchor's own conversation
    count.

    Args:
        anchor: A message of ``context``, usually one of the user's.
        context: Messages around the anchor in order of speech, the anchor among them.
        matched: Ids of the messages for which the segment is shown at all, such as those of a recalled chunk.
        before: Messages before the anchor at most, beside those that were matched.
        after: Messages after the anchor at most, save for the burst.
        max_lines: Lines of the segment at most, >= 1.

    Returns:
        A segment whose ``segment_id`` is the anchor's message id.

    Raises:
        ValueError: The anchor is not in ``context``, or ``max_lines`` is below 1.
    """
    if max_lines < 1:
        raise ValueError("max_lines must be at least 1")
    lines = [message for message in context if message.conversation == anchor.conversation]
    position = _position(anchor, lines)
    burst_start = position + 1
    while burst_start < len(lines) and lines[burst_start].role == "user":
        burst_start += 1
    burst_end = burst_start
    while burst_end < len(lines) and lines[burst_end].role == "assistant":
        burst_end += 1
    by_worth = [
        position,
        *(index for index, line in enumerate(lines) if line.message_id in matched),
        *range(burst_start, burst_end),
        *(range(position + 1, burst_start) if burst_end > burst_start else ()),
        *range(position - 1, max(-1, position - 1 - before), -1),
        *range(position + 1, min(len(lines), position + 1 + after)),
    ]
    chosen = sorted(list(dict.fromkeys(by_worth))[:max_lines])
    return Segment(
        segment_id=anchor.message_id, anchor=lines[position], messages=tuple(lines[index] for index in chosen)
    )


def _position(anchor: Message, lines: Sequence[Message]) -> int:
    """Index of the anchor: by message id where it has one, by equality before the catalog has given it one."""
    for index, line in enumerate(lines):
        if line.message_id == anchor.message_id if anchor.message_id else line == anchor:
            return index
    raise ValueError(f"the anchor (message {anchor.message_id}) is not among the {len(lines)} messages given")
