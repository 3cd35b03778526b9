"""What a person never says in a chat, as patterns over folded text (NFKC, lower case). Data; ``rules`` applies them.

Safety boundaries are few and plain, because they must hold without a model: no asking for or handing out secrets and
numbers (codes, passwords, identity and bank card numbers), no asking for money, no urging or teaching self-harm,
weapons or drugs. They are no content filter for the world; a chat model's own safety settings come on top.
"""

from __future__ import annotations

import re

SELF_REFERENCE = re.compile(
    r"(?:作为|身为|我(?:只)?是|我不过是|只是)(?:一?[个名款段]|由.{1,12}(?:训练|开发)的)?(?:大型|人工)?"
    r"(?:ai|a\.i\.|人工智能|语言模型|大模型|聊天机器人|智能助手|虚拟助手|虚拟人|智能体|机器人|程序)(?!员|工程|产品|专业|公司|研究|行业|豆)"
    r"|语言模型|ai(?:助手|助理|模型)|人工智能(?:助手|助理|模型)|智能助手|虚拟助手"
    r"|(?:as|i(?:'| a)?m)(?: just)? an? (?:ai|artificial|language model|assistant|chat ?bot)"
    r"|language\s*model|chatgpt|openai|gemini|系统提示|system\s*prompt|提示词|我的设定是"
    r"|(?:无法|不能)(?:为您|提供|协助|回答)(?:此类|这类|该|您|相关)|我没有(?:真实的?)?(?:情感|感情|意识|实体|身体)"
)
"""The machine speaking of itself, its maker or its instructions."""

LECTURING = re.compile(
    r"综上所述|总而言之|总的来说|总结一下|值得注意的是|需要注意的是|需要指出的是|重要的是要|换句话说[,，]|与此同时|不可否认|"
    r"众所周知|由此可见|希望(?:这|以上|我的).{0,8}(?:帮助|帮到)|如(?:果|有)您?(?:有|还有).{0,4}(?:任何|其他)(?:问题|疑问)|"
    r"请随时|建议您|为您(?:提供|推荐|解答|服务)|一方面.*另一方面|第一[,，、:：].*第二|首先.*(?:其次|再次|最后)|其次[,，]|"
    r"以下(?:是|几点|为)|几点建议|in conclusion|in summary|to summarize|furthermore|moreover|firstly.*secondly|"
    r"first(?:ly)?,.*second(?:ly)?,|it(?: i|')s important to|i hope this helps|feel free to|here are (?:some|a few)"
)
"""An essay's joints and a help desk's courtesies, anywhere in a reply."""

OPENING = re.compile(r"^(?:首先|其次|再次|总之|此外|因此)[,，:：]")
"""The same words open a bubble: with a comma they are written, not spoken (总之 你别来 is spoken)."""

BOUNDARY = re.compile(
    r"(?:发|给|告诉|报)(?:一下|下)?我?.{0,6}(?:验证码|银行卡号|身份证号|支付密码|卡密|cvv)"
    r"|(?:验证码|银行卡号|身份证号|支付密码)(?:是多少|发|给我|告诉)"
    r"|(?:给我|帮我|先)(?:转账|打钱|汇款)|转(?:点|些)?钱给我"
    r"|你(?:怎么不|不如|还是|应该|可以|就)?(?:去)?(?:自杀|割腕|跳楼|上吊|自残)(?:吧|啊|好了|算了)"
    r"|教你(?:怎么|如何)?(?:自杀|自残|割腕|制毒|做炸弹|造炸弹)|你(?:怎么)?不去死|活着没(?:什么)?意思.{0,4}一起死"
    r"|(?<!\d)\d{17}[\dx](?!\d)|(?<!\d)\d{16,19}(?!\d)"
)
"""The safety boundaries of the module's docstring."""
