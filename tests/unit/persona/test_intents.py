"""What a message wants."""

import pytest

from cem_rag_app.persona.intents import classify, is_question

CASES = {
    "greeting": "早|早安宝贝|早上好呀|在吗|hello|中秋快乐|新年好 恭喜发财|hi!",
    "farewell": "晚安|晚安宝贝|我先睡了|拜拜|good night|去睡了|明天见",
    "thanks": "谢谢你|谢啦|thanks a lot",
    "apology": "对不起|我错了|我错了 是我没放心上|sorry",
    "laugh": "哈哈哈|哈哈哈哈哈|[拥抱]|嗯|哦|hhh|嘿嘿",
    "question_fact": "你家猫叫什么|几点下班|吃了吗|下班没|带伞没|在干嘛|周末去哪|"
    "你姐婚礼是哪天|是不是又下雨了|喝不喝奶茶|你生日几号？|"
    "where are you?|what's your cat's name",
    "question_feeling": "你想我吗|还生气吗|今晚开心吗|累不累|你怎么了|今天好点没|你喜欢我什么|how are you?",
    "request": "帮我带杯奶茶|别生我气嘛|陪我聊会儿|给我也看看|help me please|明早记得开门",
    "affection": "想你|想你了|抱抱|爱你|miss you",
    "tease": "你个笨蛋|懒虫|又迟到",
    "mood": "今天好累|好无聊|睡不着|被领导说了 好烦|上线成功了！！|I'm so tired",
    "statement": "到家了|外卖还没到|没什么|什么都好|我妈做了红烧肉|没有没有|不知道吃什么",
}


@pytest.mark.parametrize(("text", "intent"), [(t, intent) for intent, texts in CASES.items() for t in texts.split("|")])
def test_a_message_is_told_by_what_it_wants(text, intent):
    assert classify(text) == intent


def test_of_several_messages_what_is_asked_decides():
    assert classify("今天好累\n你吃了吗\n哈哈") == "question_fact"
    assert classify("早\n今天好冷") == "greeting"
    assert classify("哈哈\n到家了") == "statement"


def test_nothing_said_is_a_filler():
    assert classify(" \n") == "laugh"


def test_only_questions_wait_for_an_answer():
    assert [is_question(intent) for intent in ("question_fact", "question_feeling", "request", "mood")] == [
        True,
        True,
        False,
        False,
    ]
