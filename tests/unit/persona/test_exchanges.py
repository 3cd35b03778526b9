"""Exchanges partition a history; nothing is lost, doubled or moved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cem_rag_app.persona.exchanges import exchanges
from cem_rag_app.schema import Message


def line(role, text="x", at=0.0, conversation="default"):
    return Message(role=role, speaker=role, text=text, timestamp=at, conversation=conversation)


def shape(messages, **bounds):
    return ["".join(m.role[0] for m in exchange) for exchange in exchanges(messages, **bounds)]


def roles(letters, step=10.0):
    return [line("user" if c == "u" else "assistant", at=i * step) for i, c in enumerate(letters)]


def test_a_burst_and_the_burst_that_answers_it_are_one_exchange():
    assert shape(roles("uuaaua")) == ["uuaa", "ua"]


def test_the_person_may_speak_first_and_the_user_may_go_unanswered():
    assert shape(roles("aauau")) == ["aa", "ua", "u"]


def test_another_conversation_opens_an_exchange():
    messages = [line("user", conversation="a"), line("assistant", conversation="b")]
    assert shape(messages) == ["u", "a"]


def test_good_morning_does_not_answer_last_nights_question():
    night, morning = line("user", at=0.0), line("assistant", at=12 * 3600.0 + 1)
    assert shape([night, morning]) == ["u", "a"]
    assert shape([night, line("assistant", at=12 * 3600.0)]) == ["ua"]


def test_a_full_exchange_is_closed():
    assert shape(roles("uuuuua"), max_messages=4) == ["uuuu", "ua"]
    long = [line("user", "x" * 6), line("assistant", "x" * 6), line("assistant", "x")]
    assert shape(long, max_characters=10) == ["u", "aa"]


def test_a_message_longer_than_an_exchange_stands_alone():
    assert shape([line("user"), line("user", "x" * 50), line("user")], max_characters=10) == ["u", "u", "u"]


def test_nothing_gives_nothing():
    assert list(exchanges([])) == []


def test_a_bound_below_one_message_is_refused():
    with pytest.raises(ValueError, match="max_messages"):
        list(exchanges(roles("u"), max_messages=0))


messages = st.lists(
    st.builds(
        line,
        role=st.sampled_from(["user", "assistant"]),
        text=st.text(max_size=30),
        at=st.floats(0, 2e5),
        conversation=st.sampled_from(["a", "b"]),
    ),
    max_size=60,
)


@given(messages, st.integers(1, 6), st.integers(1, 60))
def test_every_message_lands_in_exactly_one_exchange_and_the_order_is_kept(history, most, characters):
    parts = list(exchanges(history, max_messages=most, max_characters=characters))
    chained = [message for part in parts for message in part]
    assert len(chained) == len(history)
    assert all(given is kept for given, kept in zip(history, chained, strict=True))
    for part in parts:
        assert 1 <= len(part) <= most
        assert len({message.conversation for message in part}) == 1
        assert "au" not in "".join(message.role[0] for message in part)
        assert len(part) == 1 or sum(len(message.text) for message in part) <= characters
