"""No endearment gets through where it addresses somebody, and no innocent line is taken for one."""

from __future__ import annotations

import pytest

from cem_rag_app.persona.rules import HardRules, violations

RULES = HardRules(persona="林夏")


def _lines(text: str) -> list[str]:
    return [line.replace("\\u200b", "\u200b") for line in text.strip().replace("\n", "|").split("|")]


REPLIES = _lines(
    """
好的|好哒|好滴|好|行|行吧|嗯|嗯嗯|嗯呢|知道了|知道啦|收到|没问题|可以|可以的|是的|对|对的|会的|真的|没事的|必须的
ok|OK的|哦|欸|唉
好嘞|得嘞|遵命|谢谢|不客气|对不起|早|晚安|拜拜|辛苦了|加油|快睡|等我|想你了|爱你|抱抱|来了|别怕|懂的|明白|当然
好的好的|怎么了|吃了吗|嗯好
"""
)
NAMES = ("老婆", "亲爱的", "宝")

AT_THE_START = _lines(
    """
老公你在吗|亲爱的晚安|宝宝早|媳妇快睡|小宝贝起床啦|宝 吃饭没|乖乖，过来|小公主，起床啦|honey I'm home|babe wake up
dear, good night
"""
)
IN_THE_MIDDLE = _lines(
    """
好的老婆 我马上来|嗯嗯亲爱的，晚安|收到老公！马上|行，老婆，听你的|我知道了宝 你先睡|谢谢你亲爱的你真好
晚安啦宝宝明天见|so honey how was it
ok baby let's go|对的媳妇 就是这样|好的小仙女 遵命|没事的囡囡 有我呢|yes love, of course
"""
)
AT_THE_END = _lines(
    """
早点睡老婆|我想你了老公|明天见亲爱的|快来嘛宝|你在哪宝|真棒宝|别闹亲|怎么了小公主|好的夫人|遵命夫人|晚安太太
thanks babe|ok love|good night angel
miss you hun|sure sweetheart|好的lp|晚安lg|好的大宝|可以的崽崽|好呀小仙女|没问题女神|行吧小祖宗|知道了达令|好的哈尼
好哒北鼻|嗯嗯心肝
"""
)
ALONE = _lines(
    "老婆|老公！|亲爱的…|宝宝~|宝|亲|媳妇儿？|小可爱|达令|北鼻|baby|Honey!|darling|💕老婆💕|【老公】|“亲爱的”"
)
DISGUISED = _lines(
    """
好的 老 婆|好的老-婆|好的老。婆|好的，老\\u200b婆|好的老❤婆|好 的 老 公|好的亲.爱.的|好的親愛的|好的亲爱滴
好的亲爱の|好的亲耐的|好的qin爱的
好的lao婆|好的laopo|好的lao po|好的 l a o p o|好的L A O G O N G|好的ｌａｏ婆|好的佬婆|好的老嘙|好的脑公|好的老龚
好的老工|好的寶寶|好的宝🌸宝
好的bao bao|haode laopo|haodelaopo|haode老婆|okbaby|OK宝|okayhoney|好的ＢＡＢＹ|好的b a b y|好的b@by|好的bаby
好的ba-by|好的h0ney|yesdarling
mybaby|好的🅱️aby|好的达玲|好的哒令|好的息妇|好的媳福|好的老1婆|好的lǎo pó|嗯qīn ài de|对的亲愛的|沒問題老婆
謝謝老公|對的寶|晚安 bao|好的qin
知道了❤️老❤️公|收到😘宝|嗯…宝|好的~宝~|行！！宝！！|好的（老婆）|好的「亲爱的」|好的*老婆*|好的_老_公_|好的／老／婆
honeyyyy ok|DaRLiNg
"""
)
ACROSS_BUBBLES = (
    ("好的", "老婆"),
    ("好的老", "婆"),
    ("嗯嗯", "亲爱", "的"),
    ("知道了", "宝"),
    ("ok", "ba", "by"),
    ("晚安", "小", "可爱"),
)

INNOCENT = _lines(
    """
宝贝晚安|好的宝贝|嗯嗯宝贝|知道了宝贝|宝贝你在吗|宝贝宝贝|ok宝贝|早呀宝贝|好的|知道了|收到|行吧|嗯嗯好|没问题|ok
好的好的
他老婆是老师|我姐老公在银行上班|她家宝宝会走了|小郭的老公来接她|同事老婆生了|谁的老婆|老板老婆来了|邻居家的宝宝好吵
他找了个好的老婆|老婆饼好吃|我买了老婆饼
老公司搬家了|老公寓没电梯|办公室好冷|出版社老公房|支付宝转你|淘宝买的|用余额宝|充电宝没电了|她属国宝|这是我家传家宝
宝山路下车|宝石好看|吃饱饱
母亲节快乐|我父亲退休了|相亲去了|好想回家见娘亲|他俩成亲了|去探亲|亲自去|亲眼看见的|亲亲你|亲我一下|亲一口|乖
乖乖听话|你要乖乖的|你好乖
你就是女神|女神节快乐|长公主|看公主日记|白雪公主|天使投资人|美人鱼好看|第一夫人|太太平平|我的爱好是画画
我的爱情故事|心甘情愿|劳工节|新娘子好美|新干线
bb霜|别bb了|honeymoon|honey mustard|oh dear|pumpkin pie|babysitter|I love hotpot|sugar free|the little prince
angel number|what a lovely day|he is hungry|B2B
人老，公司也小|我老了 公交都挤不上|好老 公园里都是|哈尼族|娘子军|海绵宝宝|抱抱|想你|爱你|好爱吃|可爱|好可爱|真可爱
甜死了|心肝脾肺
"""
)


def _broken(bubbles: tuple[str, ...]) -> set[str]:
    return {violation.rule for violation in violations(bubbles, RULES)}


@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("name", NAMES)
def test_a_name_after_an_agreement_or_an_interjection_is_an_address(reply: str, name: str) -> None:
    assert "pet_name" in _broken((reply + name,))


@pytest.mark.parametrize("text", [*AT_THE_START, *IN_THE_MIDDLE, *AT_THE_END, *ALONE])
def test_an_endearment_is_found_wherever_it_stands(text: str) -> None:
    assert "pet_name" in _broken((text,))


@pytest.mark.parametrize("text", DISGUISED)
def test_an_endearment_after_an_agreement_is_found_in_its_disguise(text: str) -> None:
    assert "pet_name" in _broken((text,))


@pytest.mark.parametrize("bubbles", ACROSS_BUBBLES)
def test_an_endearment_in_a_bubble_of_its_own_or_cut_by_its_end_is_found(bubbles: tuple[str, ...]) -> None:
    assert "pet_name" in _broken(bubbles)


@pytest.mark.parametrize("text", INNOCENT)
def test_an_innocent_line_breaks_no_rule(text: str) -> None:
    assert _broken((text,)) == set()
