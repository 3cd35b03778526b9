"""Endearments are found in any disguise; words that only look like one are left alone."""

import pytest

from cem_rag_app.persona.pet_names import Found, find_pet_names, normalise

ALLOWED = ("宝贝",)

BROKEN = (
    """
亲爱的你好|亲 爱 的|亲❤爱❤的|亲。爱。的|亲-爱-的|亲1爱2的|親愛的
亲爱地你在吗|亲耐的|亲爱哒|qin ai de|q i n a i d e|qīn ài de 晚安|QinAiDe
宝宝|bao宝|宝bao|baobao睡了吗|BaO BaO|宝🌸宝|宝!宝!|小宝贝|大宝贝来了
宝贝儿|x i a o b a o b e i|晚安宝|想你了宝|宝 你在吗|宝,在吗
我老婆|我的老公|老\u200b公回来|lao po|脑公|老 公|心 肝|你真是个小可爱|亲亲,在吗|乖乖,过来|我的小公主
ＢＡＢＹ|b a b y|b.a.b.y|babyyy|b@by|Honey~| h0ney|dаrling|my love|mylove|sweet heart|🅱️aby|𝓫𝓪𝓫𝔂|bb|ｂｂ|ba-by
""".replace("\n", "|")
    .strip("|")
    .split("|")
)

KEPT = (
    """
宝贝晚安|宝 贝|宝贝宝贝|bao bei|宝贝儿子|她家宝宝会走路了|海绵宝宝|看宝宝巴士
他老婆|我姐老公|老婆饼|老公司|人老,公司也小|好老\n公司
宝山路|支付宝转你|淘宝|充电宝没电了|吃饱饱|新娘子|我的爱好|我的爱情|心甘情愿|劳工节|亲亲你|亲我一下|乖|乖乖听话|你就是女神|长公主
bb霜|a bb cream|别bb了|B2B|Angelababy|honeymoon|oh dear|pumpkin pie|babysitter|哈哈哈哈|好呀|哈尼族
""".replace("\n", "|")
    .replace("好老|公司", "好老\n公司")
    .strip("|")
    .split("|")
)


@pytest.mark.parametrize("text", BROKEN)
def test_an_endearment_is_found_in_its_disguise(text):
    assert find_pet_names([text], ALLOWED)


@pytest.mark.parametrize("text", KEPT)
def test_an_everyday_word_is_no_endearment(text):
    assert find_pet_names([text], ALLOWED) == []


def test_what_was_found_is_named_as_the_lexicon_spells_it_and_as_it_stood():
    assert find_pet_names(["好的，亲❤爱❤的"], ALLOWED) == [Found(name="亲爱的", written="亲❤爱❤的")]


def test_an_endearment_cut_by_a_bubble_end_is_found():
    assert [found.name for found in find_pet_names(["老", "公"], ALLOWED)] == ["老公"]


def test_only_the_names_allowed_are_allowed():
    assert [found.name for found in find_pet_names(["宝贝", "晚安"], ())] == ["宝贝"]
    assert find_pet_names(["亲爱的", "晚安"], ("亲爱的",)) == []
    assert [found.name for found in find_pet_names(["宝贝"], ("亲爱的",))] == ["宝贝"]


def test_an_allowed_name_does_not_allow_the_names_around_it():
    assert [found.name for found in find_pet_names(["小宝贝 宝贝 老婆"], ALLOWED)] == ["小宝贝", "老婆"]


def test_every_endearment_of_a_reply_is_reported_in_order():
    assert [found.name for found in find_pet_names(["honey", "亲爱的", "宝宝"], ALLOWED)] == ["honey", "亲爱的", "宝宝"]


def test_text_is_folded_before_it_is_searched():
    assert normalise("Ｂａｂｙ 親愛 qīn b4by") == "baby 亲爱 qin baby"
