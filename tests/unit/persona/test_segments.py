"""A segment keeps the answer first and the rest by nearness."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cem_rag_app.persona.segments import segment_around
from cem_rag_app.schema import Message


def talk(letters, conversation="default", first_id=1):
    return [
        Message(
            role="user" if c == "u" else "assistant",
            speaker=c,
            text=f"line {i}",
            timestamp=float(i),
            message_id=i,
            conversation=conversation,
        )
        for i, c in enumerate(letters, start=first_id)
    ]


def ids(segment):
    return [message.message_id for message in segment.messages]


def test_six_before_and_eight_after():
    lines = talk("ua" * 15)
    segment = segment_around(lines[14], lines)
    assert segment.segment_id == 15
    assert segment.anchor is lines[14]
    assert ids(segment) == list(range(9, 24))


def test_the_answering_burst_is_whole_even_past_the_window():
    lines = talk("uuuu" + "u" + "a" * 11 + "u")
    segment = segment_around(lines[4], lines)
    assert ids(segment) == list(range(1, 17))
    assert [message.message_id for message in segment.reply] == list(range(6, 17))


def test_what_the_user_still_said_before_the_answer_is_kept():
    lines = talk("uuuaau")
    segment = segment_around(lines[0], lines, before=0, after=0)
    assert ids(segment) == [1, 2, 3, 4, 5]


def test_the_answer_outweighs_what_came_before():
    lines = talk("uauaua" + "u" + "a" * 14)
    segment = segment_around(lines[6], lines)
    assert len(segment.messages) == 18
    assert ids(segment) == list(range(4, 22))


def test_an_answer_longer_than_a_segment_is_cut_at_its_end():
    lines = talk("ua" + "u" + "a" * 30)
    segment = segment_around(lines[2], lines)
    assert ids(segment) == list(range(3, 21))


def test_matched_lines_are_shown_wherever_they_stand():
    lines = talk("u" * 12 + "a" * 10)
    segment = segment_around(lines[11], lines, matched={1, 2})
    assert {1, 2, 12} <= set(ids(segment))
    assert len(ids(segment)) == 18
    assert ids(segment) == sorted(ids(segment))


def test_an_anchor_without_an_answer_keeps_its_surroundings():
    lines = talk("uauauuu")
    assert ids(segment_around(lines[5], lines, before=2, after=8)) == [4, 5, 6, 7]


def test_other_conversations_are_no_context():
    mixed = [*talk("ua", "other"), *talk("ua", "default", first_id=3), *talk("aa", "other", first_id=5)]
    assert ids(segment_around(mixed[2], mixed)) == [3, 4]


def test_an_anchor_without_an_id_is_found_by_what_it_is():
    lines = [
        Message(role=r, speaker=r, text=t, timestamp=0.0) for r, t in (("user", "a"), ("assistant", "b"), ("user", "c"))
    ]
    assert [m.text for m in segment_around(lines[2], lines, before=1).messages] == ["b", "c"]


def test_a_foreign_anchor_and_an_empty_segment_are_refused():
    lines = talk("ua")
    with pytest.raises(ValueError, match="not among the 2 messages"):
        segment_around(talk("u", first_id=9)[0], lines)
    with pytest.raises(ValueError, match="max_lines"):
        segment_around(lines[0], lines, max_lines=0)


@given(st.text("ua", min_size=1, max_size=50), st.data(), st.integers(0, 8), st.integers(0, 9), st.integers(1, 20))
def test_bounds_order_and_anchor_hold_for_any_talk(letters, data, before, after, most):
    lines = talk(letters)
    anchor = lines[data.draw(st.integers(0, len(lines) - 1))]
    chosen = ids(segment_around(anchor, lines, before=before, after=after, max_lines=most))
    assert anchor.message_id in chosen
    assert len(chosen) <= most
    assert chosen == sorted(set(chosen))
    assert chosen[0] >= anchor.message_id - before
