"""The lexicon of endearments, and the words that only look like one. Data; ``pet_names`` holds the policy.

Patterns here read text in which ``pet_names`` has put a space for every pause, ``*`` for other signs,
``0`` for digits.
"""

from __future__ import annotations

import re

ALWAYS = (
    "亲爱的", "宝宝", "宝贝", "宝贝儿", "小宝贝", "大宝贝", "乖宝贝", "老婆", "老公", "心肝", "小可爱", "甜心",
    "小甜甜", "乖乖宝", "乖宝", "宝子", "宝儿", "小乖乖", "小宝宝", "媳妇儿", "媳妇", "老婆大人", "小心肝", "达令",
    "哈尼", "我的爱", "心肝宝贝", "小亲亲", "吾爱", "郎君", "夫君", "相公", "娘子", "爱妃", "老攻", "小祖宗",
    "卿卿", "北鼻", "贝比", "爱妻",
)  # fmt: skip
"""Endearments wherever they stand, save for the exceptions below."""

ADDRESS = (
    "宝", "亲", "亲亲", "乖乖", "崽", "崽崽", "囡囡", "小公主", "公主", "小仙女", "仙女", "小天使", "天使", "小乖",
    "大宝", "小宝", "宝宝子", "美人", "女神", "男神", "饱饱", "小猪猪", "爱人", "蜜糖", "夫人", "太太", "官人",
    "亲爱",
    "心爱的",
)  # fmt: skip
"""Everyday words too: endearments only where they stand as an address."""

LATIN = (
    "baby", "babe", "babes", "bae", "bb", "bby", "honey", "hon", "hunny", "darling", "dear", "dearest", "sweetheart",
    "sweetie", "sweety", "hubby", "wifey", "cutie", "cutiepie", "sweetpie", "sugarplum", "pumpkin", "mylove",
    "myangel", "beloved", "princess", "bebe",
)  # fmt: skip

ADDRESS_LATIN = (
    "love", "luv", "lovey", "hun", "boo", "sugar", "angel", "sweets", "sweetpea", "kitten", "prince", "lp", "lg",
    "qad",
)  # fmt: skip
"""The same in Latin letters; the last three are initials of 老婆, 老公 and 亲爱的."""

LATIN_SYLLABLES = frozenset(
    ("my", "love", "angel", "sweet", "heart", "pie", "ba", "by", "ho", "hon", "ney", "ey", "dar", "ling", "hub",
    "wi", "fey",
     "cu", "tie", "swee", "ty")
)  # fmt: skip
"""What a name in Latin letters falls into where it is cut."""

PINYIN = {
    "亲": "qin", "爱": "ai", "的": "de", "宝": "bao", "贝": "bei", "儿": "er", "老": "lao", "婆": "po", "公": "gong",
    "心": "xin", "肝": "gan", "甜": "tian", "乖": "guai", "媳": "xi", "妇": "fu", "小": "xiao", "可": "ke",
    "达": "da",
    "令": "ling", "哈": "ha", "尼": "ni", "囡": "nan", "崽": "zai", "大": "da", "子": "zi", "攻": "gong", "夫": "fu",
    "君": "jun", "娘": "niang", "主": "zhu", "仙": "xian", "女": "nv",
}  # fmt: skip

HOMOPHONES = {
    "亲": "亲侵钦秦卿", "爱": "爱耐艾碍", "的": "的哒滴底得地嘚", "宝": "宝饱堡葆", "老": "老佬劳脑姥",
    "婆": "婆泼嘙",
    "公": "公工攻宫龚", "心": "心芯新", "肝": "肝甘干", "甜": "甜恬", "贝": "贝呗背", "媳": "媳息", "妇": "妇福",
    "达": "达哒打", "令": "令玲", "尼": "尼妮",
}  # fmt: skip
"""What sounds alike and is used to slip past a filter; the character itself is in its own list."""

ORDINARY = frozenset(
    ("饱饱", "老工", "劳工", "老宫", "劳宫", "新干", "心干", "心甘", "新甘", "恬心", "饱子", "堡子", "饱儿", "大饱")
)
"""Homophone pairs that are ordinary words (劳工, 心甘情愿): no disguise."""

TRADITIONAL = str.maketrans(
    "親愛寶貝達兒婦們嬌噠為個語機擬訓練無總對沒嗎麼謝來會當錯還說別點龍の",
    "亲爱宝贝达儿妇们娇哒为个语机拟训练无总对没吗么谢来会当错还说别点龙的",
)
LOOK_ALIKE = str.maketrans("аеорсухіѕԁ🅰🅱🅾", "aeopcyxisdabo")
LEET = str.maketrans("04531@$", "oaselas")

FOLLOWED_BY = {
    "老公": ("司", "园", "寓", "房", "交", "路", "安", "社", "鸡", "式", "示", "共", "开", "众"),
    "老婆": ("饼", "本"),
    "宝宝": ("巴士", "椅", "霜", "树", "车", "辅食", "照"),
    "宝贝儿": ("子",),
    "心肝": ("脾", "肺"),
    "太太": ("平", "多", "晚", "好", "大", "高", "口服"),
    "甜心": ("教主",),
    "哈尼": ("族", "梯田"),
    "我的爱": ("情", "好", "车", "豆", "心", "恨", "意", "猫", "犬", "国", "人"),
    "娘子": ("军",),
    "bb": ("霜", "机", "弹", "肥", "cream", "枪"),
    "honey": ("mustard", "butter"),
    "pumpkin": ("pie", "soup", "spice", "latte", "seed"),
    "baby": ("shower", "face", "bus"),
}
"""Name -> what makes it part of another word when it follows."""

PRECEDED_BY = {
    "bb": ("别", "少", "瞎"),
    "dear": ("oh ",),
    "宝宝": ("海绵", "天线"),
    "娘子": ("新", "老板"),
    "宝子": ("元", "吉"),
    "媳妇": ("儿",),
    "公主": ("白雪", "迪士尼"),
}
"""Name -> what makes it part of another word when it stands before."""

THIRD_PARTY = re.compile(
    r"(?:[他她它谁]|自己|别人|人家|同事|老板|朋友|闺蜜|室友|邻居|老师|姐|哥|弟|妹|叔|婶|姨|舅|姑|妈|爸|领导|客户|司机)"
    r"们?(?:的|家的?|有)?\Z|(?<![我你咱])的\Z|[个只名位怀生养带娶讨怕换]\Z"
)
"""Someone else's spouse or child stands behind this."""

OWN = re.compile(r"(?:我|咱)(?:家|们)?的?\Z|你[^ ]{0,3}是[^ ]{0,5}\Z")
"""Whatever THIRD_PARTY says: one's own, or said of the listener (你真是个小可爱)."""

_GAP = "[ *0]*"
_PARTICLE = "了啦呀吧哦噢喔嘛呢哈啊嗯哎唉欸诶喂嘿嗨吗么哪"

ADDRESS_LEFT = re.compile(
    rf"(?:^|[ *]|[{_PARTICLE}]|我的|我家|晚安|早安|早上好|[想爱]你|谢谢|拜拜|好的|"
    r"乖|叫你|喊你)\Z"
)
ADDRESS_RIGHT = re.compile(r"(?:\Z|[ *]|[你我咱您]|快|早|晚|在吗|在不|别|们|呀|啊|哟|哎)")
REPLIES = (
    "好", "好的", "好滴", "好哒", "好嘞", "得嘞", "行", "行的", "收到", "没问题", "没有", "可以", "可以的", "是的",
    "对", "对的", "会的", "真的", "真棒", "没事", "没事的", "不会的", "必须", "必须的", "ok", "ok的", "okay",
    "遵命", "谢谢",
    "多谢", "不客气", "没关系", "对不起", "抱歉", "不好意思", "早", "早安", "晚安", "午安", "拜拜", "再见", "辛苦",
    "加油",
    "快睡", "早点睡", "睡觉", "等我", "么么哒", "抱抱", "哪有", "不要", "别怕", "不怕", "别闹", "别哭", "别急",
    "懂", "懂的",
    "懂你", "明白", "当然", "当然的", "妥", "妥妥的", "中", "成", "为什么", "干嘛", "快来", "过来", "来", "听话",
    "放心",
    "放心的", "答应", "知道", "知道的", "想你", "爱你", "乖", "同意", "没错", "不是", "不行", "生日快乐", "恭喜",
    "好好",
    "在", "在的", "我在", "有的", "要的", "想的", "爱的", "怎么", "什么", "哪里", "好棒", "厉害", "笑死", "救命",
    "天哪",
    "yes", "yeah", "yep", "sure", "no", "hi", "hello", "hey", "thanks", "thx", "bye", "sorry", "please", "fine",
    "alright",
    "good night", "goodnight", "good morning", "morning", "night", "miss you", "love you", "come on", "wait",
    "of course",
    "haode", "hao", "haoba", "haoya", "xing", "en", "zhidaole", "shoudao", "dui", "shide", "wanan", "zaoan", "xiexie",
)  # fmt: skip
"""What agrees, greets, thanks, comforts or exclaims: a name that ends such a clause addresses somebody."""

AFTER_REPLY = re.compile(
    rf"(?:^|[ *0{_PARTICLE}])(?:[我那就都也真嗯好]{_GAP}){{0,3}}"
    rf"(?:(?:{'|'.join(_GAP.join(reply) for reply in sorted(REPLIES, key=len, reverse=True))}){_GAP}){{1,3}}\Z"
)
"""A clause that is such a word and no more."""

GLUED = (
    "ok", "okay", "yes", "yeah", "sure", "hello", "hey", "thanks", "thankyou", "night", "morning", "bye", "sorry",
    "my",
    "haode", "haoba", "haoya", "zhidaole", "shoudao", "duide", "shide", "wanan", "zaoan", "xiexie", "xing", "loveyou",
)  # fmt: skip
"""The same in Latin letters, written together with the name."""

CLOSING = {
    "宝": "淘付国珠元财电额家法活墨瑰八三至秘夺珍藏捡之寻献众大小宝山子龙为",
    "亲": "父母相娘可双乡定结探近远六成提求和血姻至省老丈思认一无多",
}
"""Names that end a clause as an address after any word, unless one of these makes a word with them (支付宝, 母亲)."""

KISS = re.compile(r"^(?:[你我它他她咱]|一[下口]|抱抱|额|脸|嘴|猫)")
"""亲 and 亲亲 before these are the verb."""
