"""The page's logic in Streamlit's own harness; what it looks like is tested in a real browser."""

from __future__ import annotations

import json

from streamlit.testing.v1 import AppTest

from cem_rag_app.errors import ChatModelError, ServiceError
from tests.fakes.services import fake_services
from tests.unit.ui.test_client import client_of
from ui.client import Client

TALK = (("user", "吃火锅吗"), ("assistant", "好呀 <b>走</b>"))


def _script(client) -> None:
    from ui.chat import page

    page(client)


def open_page(client: Client) -> AppTest:
    return AppTest.from_function(_script, args=(client,), default_timeout=20).run()


def bubbles(test: AppTest) -> dict:
    """What the list of bubbles was given to draw."""
    (component,) = [
        element.proto for element in test.get("bidi_component") if element.proto.component_name == "cem_rag_messenger"
    ]
    return json.loads(component.json)


def test_the_page_shows_the_memorys_last_messages_and_says_that_it_is_a_simulation_by_the_offline_voice():
    services, _, _ = fake_services(TALK)
    shown = bubbles(open_page(client_of(services)))
    assert [m["text"] for m in shown["messages"]] == ["吃火锅吗", "好呀 <b>走</b>"]
    assert shown["strings"]["disclosure"].startswith("这是根据聊天记录做的模拟，不是小满本人。")
    assert shown["strings"]["voice"].startswith("离线声音")
    assert shown["typing"] is False


def test_a_message_is_answered_with_bubbles_and_the_side_bar_explains_them():
    services, _, _ = fake_services(TALK)
    test = open_page(client_of(services))
    test.chat_input[0].set_value("  火锅几点  ").run()
    assert [m["text"] for m in bubbles(test)["messages"]][-3:] == ["火锅几点", "在呢", "怎么啦"]
    assert bubbles(test)["typing"] is False
    (hits,) = [e.proto for e in test.get("bidi_component") if e.proto.component_name == "cem_rag_hits"]
    assert "吃火锅吗" in [hit["anchor"] for hit in json.loads(hits.json)["hits"]]
    assert "5" in [text.value for text in test.text]


def test_a_turn_that_fails_keeps_its_message_and_can_be_sent_again_without_being_stored_twice():
    services, memory, _ = fake_services(TALK, failures=[ChatModelError("The model refused.", remedy="Try again.")])
    test = open_page(client_of(services))
    test.chat_input[0].set_value("在吗").run()
    assert test.warning[0].value == "这句话没有得到回复。"
    assert "The model refused. Try again." in [text.value for text in test.text]
    assert bubbles(test)["messages"][-1]["text"] == "在吗"
    assert len(memory.messages) == len(TALK)
    next(button for button in test.button if button.label == "重试").click().run()
    assert not test.warning
    assert [m.text for m in memory.messages][-3:] == ["在吗", "在呢", "怎么啦"]


def test_a_turn_that_failed_can_be_given_up():
    services, _, _ = fake_services(TALK, failures=[ChatModelError("No.")])
    test = open_page(client_of(services))
    test.chat_input[0].set_value("在吗").run()
    next(button for button in test.button if button.label == "放弃").click().run()
    assert not test.warning
    assert [m["text"] for m in bubbles(test)["messages"]] == ["吃火锅吗", "好呀 <b>走</b>"]


def test_without_a_memory_the_page_says_which_commands_make_one():
    class Missing(Client):
        def messages(self, **_):
            raise ServiceError("There is no memory in ./memory.")

    test = open_page(Missing("http://127.0.0.1/"))
    assert test.subheader[0].value == "这里还没有可以聊天的记忆。"
    assert "There is no memory in ./memory." in [text.value for text in test.text]
    assert "cem-rag import" in test.code[0].value


def test_a_memory_of_documents_points_to_the_command_that_asks_them():
    services, _, _ = fake_services(persona="")
    test = open_page(client_of(services))
    assert test.code[0].value == 'cem-rag ask "…"'
    assert not test.chat_input


def test_only_a_window_of_a_long_history_is_drawn():
    services, _, _ = fake_services(tuple(("user", f"第{n}条") for n in range(500)))
    shown = bubbles(open_page(client_of(services)))
    assert len(shown["messages"]) == 60
    assert shown["messages"][-1]["text"] == "第499条"
    assert shown["more"] is True
