"""The lexicon of endearments, and the words that only look like one. Data; ``pet_names`` holds the policy.

Patterns here read text in which ``pet_names`` has put a space for every pause, ``*`` for other signs, ``0`` for digits.
"""

from __future__ import annotations

import re

ALWAYS = (
    "亲爱的", "宝宝", "宝贝", "宝贝儿", "小宝贝", "大宝贝", "乖宝贝", "老婆", "老公", "心肝", "小可爱", "甜心",
    "小甜甜", "乖乖宝", "乖宝", "宝子", "宝儿", "小乖乖", "小宝宝", "媳妇儿", "媳妇", "老婆大人", "小心肝", "达令",
    "哈尼", "我的爱", "心肝宝贝", "小亲亲", "吾爱", "郎君", "夫君", "相公", "娘子", "爱妃", "老攻", "小祖宗", "卿卿",
)  # fmt: skip
"""Endearments wherever they stand, save for the exceptions below."""

ADDRESS = (
    "宝", "亲", "亲亲", "乖乖", "崽", "崽崽", "囡囡", "小公主", "公主", "小仙女", "仙女", "小天使", "天使", "小乖",
    "大宝", "小宝", "宝宝子", "美人", "女神", "男神", "饱饱", "小猪猪", "爱人", "蜜糖",
)  # fmt: skip
"""Everyday words too: endearments only where they stand as an address."""

LATIN = (
    "baby", "babe", "babes", "bae", "bb", "bby", "honey", "hon", "hunny", "darling", "dear", "dearest", "sweetheart",
    "sweetie", "sweety", "hubby", "wifey", "cutie", "cutiepie", "sweetpie", "sugarplum", "pumpkin", "mylove",
    "myangel", "beloved", "princess", "bebe",
)  # fmt: skip

PINYIN = {
    "亲": "qin", "爱": "ai", "的": "de", "宝": "bao", "贝": "bei", "儿": "er", "老": "lao", "婆": "po", "公": "gong",
    "心": "xin", "肝": "gan", "甜": "tian", "乖": "guai", "媳": "xi", "妇": "fu", "小": "xiao", "可": "ke", "达": "da",
    "令": "ling", "哈": "ha", "尼": "ni", "囡": "nan", "崽": "zai", "大": "da", "子": "zi", "攻": "gong",
}  # fmt: skip

HOMOPHONES = {
    "亲": "亲侵钦秦", "爱": "爱耐艾碍", "的": "的哒滴底得地嘚", "宝": "宝饱堡葆", "老": "老佬劳脑", "婆": "婆泼嘙",
    "公": "公工攻宫", "心": "心芯新", "肝": "肝甘干", "甜": "甜恬", "贝": "贝呗背", "媳": "媳息", "妇": "妇福",
}  # fmt: skip
"""What sounds alike and is used to slip past a filter; the character itself is in its own list."""

ORDINARY = frozenset(
    ("饱饱", "老工", "劳工", "老宫", "劳宫", "新干", "心干", "心甘", "新甘", "恬心", "饱子", "堡子", "饱儿", "大饱")
)
"""Homophone pairs that are ordinary words (劳工, 心甘情愿): no disguise."""

TRADITIONAL = str.maketrans("親愛寶貝達兒婦們嬌噠為個語機擬訓練無總", "亲爱宝贝达儿妇们娇哒为个语机拟训练无总")
LOOK_ALIKE = str.maketrans("аеорсухіѕԁ🅰🅱🅾", "aeopcyxisdabo")
LEET = str.maketrans("04531@$", "oaselas")

FOLLOWED_BY = {
    "老公": ("司", "园", "寓", "房", "交", "路", "安", "社", "鸡", "式", "示", "共", "开", "众"),
    "老婆": ("饼", "本"),
    "宝宝": ("巴士", "椅", "霜", "树", "车", "辅食", "照"),
    "宝贝儿": ("子",),
    "心肝": ("脾", "肺"),
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

ADDRESS_LEFT = re.compile(
    r"(?:^|[ *]|[了啦呀吧哦嘛呢哈啊嗯哎欸诶喂嘿嗨]|我的|我家|晚安|早安|早上好|[想爱]你|谢谢|拜拜|好的|"
    r"乖|叫你|喊你)\Z"
)
ADDRESS_RIGHT = re.compile(r"(?:\Z|[ *]|[你我咱您]|快|早|晚|在吗|在不|别|们|呀|啊|哟|哎)")
KISS = re.compile(r"^(?:[你我它他她咱]|一[下口]|抱抱|额|脸|嘴|猫)")
"""亲 and 亲亲 before these are the verb."""
