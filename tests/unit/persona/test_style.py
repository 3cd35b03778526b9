"""A style is learned exactly and tells people apart."""

import pytest

from cem_rag_app.persona.style import Spread, StyleProfile, learn_style, style_similarity
from cem_rag_app.schema import Message


def says(role, text, at=0.0):
    return Message(role=role, speaker=role, text=text, timestamp=at)


TALK = [
    says("user", "早", 0),
    says("assistant", "早呀", 10),
    says("assistant", "吃了没呀～", 20),
    says("user", "吃了。", 30),
    says("assistant", "哈哈哈[捂脸]", 40),
    says("assistant", "宝贝，出门带伞", 1000),
]


def test_a_profile_counts_what_the_person_wrote():
    profile = learn_style(TALK, utc_offset_hours=8)
    assert profile.messages == 4
    assert profile.length == Spread(p10=2, p50=5, p90=7)
    assert profile.burst == Spread(p10=1, p50=1, p90=2)
    assert profile.particles == {"呀": 0.5, "哈": 0.25}
    assert profile.emoji == {"[捂脸]": 0.25}
    assert profile.with_emoji == 0.25
    assert profile.punctuation == {"，": 0.25, "～": 0.25}
    assert profile.ends_bare == 0.75
    assert profile.laughs == 0.25
    assert profile.address == {"宝贝": 0.25}
    assert profile.openings["早呀"] == 0.25
    assert profile.closings["没呀"] == 0.25
    assert profile.hours[8] == 1.0
    assert sum(profile.hours) == 1.0


def test_what_the_user_writes_is_not_learned():
    assert "吃了。" not in learn_style(TALK).ngrams
    assert learn_style([says("user", "早")]) == StyleProfile()


def test_a_profile_survives_json():
    profile = learn_style(TALK)
    assert StyleProfile.model_validate_json(profile.model_dump_json()) == profile


def test_nothing_known_is_neutral_and_nothing_said_is_unlike():
    assert style_similarity(["早"], StyleProfile()) == 0.5
    assert style_similarity([" "], learn_style(TALK)) == 0.0


def test_the_persons_own_lines_are_most_like_them():
    own = [
        says("assistant", text)
        for text in ("今天好累呀", "下班啦", "你吃饭了没", "哈哈哈救命", "我到家啦", "年糕又睡了") * 5
    ]
    profile = learn_style(own)
    like = style_similarity(["我下班啦", "哈哈哈好累呀"], profile)
    unlike = style_similarity(["尊敬的客户，您的订单已于昨日发出。", "请您耐心等待，感谢您的理解与支持。"], profile)
    assert 0.0 <= unlike < 0.5 < like <= 1.0


def test_length_alone_lowers_the_likeness_in_proportion():
    profile = StyleProfile(messages=10, length=Spread(p10=4, p50=5, p90=6), ends_bare=1.0)
    short, fits, long = (style_similarity(["字" * n], profile) for n in (2, 5, 12))
    assert fits - short == pytest.approx(0.15 * 0.5)
    assert fits - long == pytest.approx(0.15 * 0.5)


def test_three_of_four_of_the_persons_own_lines_are_typical_of_them():
    lines = [
        says("assistant", f"{a}{b}呀", i) for i, (a, b) in enumerate((a, b) for a in "今明昨前后天" for b in "吃喝玩睡")
    ]
    profile = learn_style(lines)
    typical = sum(style_similarity([line.text], profile) == pytest.approx(1.0, abs=1e-3) for line in lines)
    assert typical >= len(lines) * 3 / 4
    assert set(profile.typical) == {1, 2, 4}, "24 lines are too few for four bundles of eight"
    assert style_similarity(["The quarterly report is attached."], profile) < 0.5


def test_a_bundle_is_held_against_bundles_of_its_size():
    profile = StyleProfile(messages=9, length=Spread(p10=1, p50=1, p90=1), ends_bare=1.0, typical={1: 0.8, 4: 0.4})
    raw = 0.15 + 0.125 + 0.125
    assert style_similarity(["x"] * 3, profile) == pytest.approx(raw / 0.8)
    assert style_similarity(["x"] * 5, profile) == 1.0
