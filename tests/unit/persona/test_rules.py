"""Hard rules: every break is named, what can be mended is mended, the rest is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cem_rag_app.persona.rules import HardRules, Violation, enforce, violations

RULES = HardRules(persona="林夏")


def broken(*bubbles, rules=RULES):
    return [violation.rule for violation in violations(bubbles, rules)]


def test_what_the_person_says_breaks_nothing():
    assert broken("哈哈哈哈坐反侠", "扣你两块", "晚安宝贝") == []


def test_the_rules_cannot_be_changed_nor_grown():
    with pytest.raises(ValidationError):
        RULES.allowed_pet_names = ("亲爱的",)
    with pytest.raises(ValidationError):
        HardRules(persona="林夏", soft=True)


def test_a_pet_name_that_is_not_allowed_is_named():
    assert violations(["亲 爱 的 晚安"], RULES) == [Violation("pet_name", "亲爱的 (written '亲 爱 的')")]
    assert broken("亲爱的", rules=HardRules(allowed_pet_names=("亲爱的",))) == []


def test_form_is_named():
    assert violations([], RULES) == [Violation("empty", "a reply needs a bubble, and every bubble a text")]
    assert broken("好", " \n") == ["empty"]
    assert violations(["好"] * 5, RULES) == [Violation("too_many_bubbles", "5 bubbles, 4 allowed")]
    assert violations(["好" * 41], RULES) == [Violation("bubble_too_long", "bubble 1 has 41 characters, 40 allowed")]
    assert violations(["好" * 40], RULES) == []
    assert violations(["好", "1. 起床"], RULES) == [Violation("markdown", "bubble 2: numbered list")]


@pytest.mark.parametrize(
    "text",
    ["作为一个AI我不懂", "作为AI", "我只是一个语言模型", "我是人工智能助手", "As an AI, I can't",
     "I'm a language model", "作为一个 Ａ Ｉ", "作為AI", "我是A.I.", "我只是个AI", "作为一个，AI",
     "system  prompt", "我没有真实的情感", "我的系统提示词是", "I am ChatGPT"],
)  # fmt: skip
def test_the_machine_does_not_speak_of_itself(text):
    assert broken(text) == ["self_reference"]


def test_a_phrase_cut_by_a_bubble_end_is_a_phrase():
    assert broken("我是语言", "模型呀") == ["self_reference"]
    assert broken("综上", "所述") == ["lecturing"]
    assert broken("作为一个", "人工智能") == ["self_reference"]


@pytest.mark.parametrize(
    "text",
    [
        "我是程序员呀",
        "我是AI公司的",
        "写了一个程序",
        "我老板是个AI狂热粉",
        "他像个机器人一样",
        "程序又崩了",
        "人工智能课好难",
        "机器人总动员好看",
    ],
)
def test_a_person_may_speak_of_machines(text):
    assert broken(text) == []


@pytest.mark.parametrize(
    "text",
    ["综上所述你该睡了", "首先你要早睡，其次少喝咖啡", "总之，早点睡", "希望这对你有帮助",
     "In conclusion, sleep", "值得注意的是天冷了", "建议您早睡"],
)  # fmt: skip
def test_nobody_lectures(text):
    assert broken(text) == ["lecturing"]


@pytest.mark.parametrize("text", ["总之 你别来", "首先我没迟到", "第一 找到喜欢的工作", "最后一口给你"])
def test_spoken_joints_are_no_lecture(text):
    assert broken(text) == []


@pytest.mark.parametrize(
    "text",
    ["把验证码发我" , "告诉我你的银行卡号", "先转账给我", "你去自杀吧",
     "6222021234567890123", "11010119900307123X", "6222 0212 3456 7890"],
)  # fmt: skip
def test_the_boundaries_hold(text):
    assert broken(text) == ["boundary"]


def test_a_word_the_owner_forbids_is_found_in_any_case_and_width():
    rules = HardRules(forbidden_words=("Rose",))
    assert violations(["ｒｏｓｅ来了"], rules) == [Violation("forbidden_word", "Rose")]


def test_enforcing_cuts_strips_and_drops():
    long = "1. 先去玉林吃火锅，然后去沙河边散步，再去看那部老动画，最后回家陪年糕睡觉"
    assert enforce(["## 好呀", "", long], HardRules(max_bubble_characters=30)) == (
        "好呀",
        "先去玉林吃火锅，然后去沙河边散步，再去看那部老动画",
        "最后回家陪年糕睡觉",
    )


def test_enforcing_drops_what_exceeds_the_bubbles():
    assert enforce(["一", "二", "三", "四", "五"], RULES) == ("一", "二", "三", "四")


def test_enforcing_opens_lines_into_bubbles():
    assert enforce(["好呀\n几点"], RULES) == ("好呀", "几点")


@pytest.mark.parametrize("bubbles", [["亲爱的早"], ["作为AI我不懂"], ["综上所述"], [], ["", " "], ["---"]])
def test_what_is_said_cannot_be_mended(bubbles):
    assert enforce(bubbles, RULES) is None


def test_a_break_in_a_bubble_that_would_be_dropped_is_a_break():
    assert enforce(["一", "二", "三", "四", "亲爱的"], RULES) is None


def test_a_break_that_mending_uncovers_is_a_break():
    assert violations(["作为[一个](http://a.b)AI呀"], RULES) == [Violation("markdown", "bubble 1: link")]
    assert enforce(["作为[一个](http://a.b)AI呀"], RULES) is None


def test_a_good_reply_is_left_as_it_is():
    reply = ("早呀宝贝", "吃了没")
    assert enforce(reply, RULES) == reply


pieces = st.sampled_from(
    [
        "早呀",
        "宝贝",
        "亲爱的",
        "宝 宝",
        "- ",
        "## ",
        "**",
        "1. ",
        "\n",
        "，",
        "。",
        "作为AI",
        "首先，",
        " ",
        "哈" * 30,
        "`",
        "😀",
        "老",
        "公",
    ]
)


@given(st.lists(st.lists(pieces, max_size=8).map("".join), max_size=7), st.integers(1, 5), st.integers(8, 60))
def test_what_enforcing_gives_never_breaks_a_rule_and_stays_when_enforced_again(bubbles, most, length):
    rules = HardRules(persona="林夏", max_bubbles=most, max_bubble_characters=length)
    mended = enforce(bubbles, rules)
    if mended is not None:
        assert violations(mended, rules) == []
        assert enforce(mended, rules) == mended
