"""Chinese sources of the training corpus: conversations, text messages, questions, stories, reviews and prose.

No source is read whose terms forbid commercial use: C3, OCNLI, LCQMC and BQ are left out although they could be had.
Some sources state no terms; the licence column of ``sources`` says so.
"""

# ruff: noqa: S311 - samples are drawn with fixed seeds; nothing here is secret.

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

from scripts import corpus_daily
from scripts.corpus_english import Record
from scripts.corpus_git import Clone
from scripts.corpus_pieces import conversation, fits, prose, story

_MARKDOWN = re.compile(r"!\[[^\]]*\]\([^)]*\)|\[([^\]]*)\]\([^)]*\)|[`*#>|_]+|<[^>]+>|\$[^$]*\$|:\w+:`[^`]*`")


def sources() -> dict[str, tuple[str, Callable[[Clone], Iterator[Record]]]]:
    """Repository name to its licence and reader."""
    return {
        "qiuhuachuan/smile": ("CC0 1.0", smile),
        "SmartFlowAI/EmoLLM": ("MIT", emollm),
        "CAS-SIAT-XinHai/CPsyCoun": ("CC BY 4.0", cpsycoun),
        "candlewill/Dialog_Corpus": ("none stated in the clone (NUS SMS Corpus)", text_messages),
        "gunthercox/chatterbot-corpus": ("BSD-3-Clause", chatterbot),
        "thu-coai/CrossWOZ": ("Apache-2.0", crosswoz),
        "thu-coai/KdConv": ("Apache-2.0; the travel knowledge base alone, none of the dialogues", travel_knowledge),
        "ymcui/cmrc2018": ("CC BY-SA 4.0", squad_like),
        "ymcui/cmrc2019": ("CC BY-SA 4.0", stories),
        "pluto-junzeng/ChineseSquad": ("none stated; a translation of SQuAD, which is CC BY-SA 4.0", squad_like),
        "SophonPlus/ChineseNlpCorpus": ("none stated; public customer reviews", reviews),
        "Anduin2017/HowToCook": ("Unlicense", markdown_prose),
        "d2l-ai/d2l-zh": ("Apache-2.0", markdown_prose),
        **corpus_daily.sources(),
    }


def smile(clone: Clone) -> Iterator[Record]:
    """55,000 supportive conversations about school, family, friends, love and work."""
    for path, content in clone.read(clone.files("data/", ".json")):
        turns = [str(turn["content"]).strip() for turn in json.loads(content) if turn.get("content")]
        yield from conversation(turns, random.Random(path), share=0.12)


def emollm(clone: Clone) -> Iterator[Record]:
    """Supportive conversations in several voices."""
    for path in ("datasets/data.json", "datasets/aiwei.json", "datasets/tiangou.json"):
        text = clone.text(path)
        for number, match in enumerate(re.finditer(r'"conversation"\s*:\s*(\[.*?\n\s*\])', text, re.S)):
            try:
                turns = json.loads(match.group(1))
            except json.JSONDecodeError:
                continue  # one hand-edited record is not worth the file
            lines = [str(turn[key]) for turn in turns for key in ("input", "output") if turn.get(key)]
            spoken = [re.sub(r"（[^）]*）", "", line) for line in lines]
            yield from conversation(spoken, random.Random(number), share=0.5)


def cpsycoun(clone: Clone) -> Iterator[Record]:
    """Counselling conversations written from case reports."""
    for path, content in clone.read(clone.files("CPsyCounD/Data/", ".txt")):
        lines = [line for line in content.decode("utf-8", "replace").splitlines() if line.strip()]
        spoken = [re.sub(r"^[^：:]{1,8}[：:]", "", line) for line in lines]
        yield from conversation(spoken, random.Random(path), share=0.4)


def text_messages(clone: Clone) -> Iterator[Record]:
    """31,000 real short messages between friends (NUS SMS Corpus)."""
    for _, text in clone.zipped("smsCorpus_zh_xml_2015.03.09.zip", ".xml"):
        for match in re.finditer(r"<text>(.*?)</text>", text, re.S):
            message = match.group(1).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
            if fits(message, low=4):
                yield "passage", message, ""


def chatterbot(clone: Clone) -> Iterator[Record]:
    """Questions to a chat robot and its replies."""
    for _, content in clone.read(clone.files("chatterbot_corpus/data/chinese/", ".yml")):
        previous = ""
        for line in content.decode("utf-8", "replace").splitlines():
            opening = re.match(r"- - (.+)", line)
            following = re.match(r"  - (.+)", line)
            if opening:
                previous = opening.group(1)
            elif following and previous and fits(following.group(1), low=3):
                yield "reply", previous, following.group(1)


def crosswoz(clone: Clone) -> Iterator[Record]:
    """Two people about restaurants, hotels and sights of a city."""
    for name in ("train", "val", "test"):
        for _, text in clone.zipped(f"data/crosswoz/{name}.json.zip", ".json"):
            for number, dialogue in json.loads(text).items():
                turns = [str(message["content"]) for message in dialogue["messages"]]
                yield from conversation(turns, random.Random(number), share=0.4)


def travel_knowledge(clone: Clone) -> Iterator[Record]:
    """Descriptions of sights."""
    for place, triples in json.loads(clone.text("data/travel/kb_travel.json")).items():
        for _, relation, value in triples:
            if relation == "Information":
                yield from prose(re.sub(r"[#\s]+", " ", value), place)


def squad_like(clone: Clone) -> Iterator[Record]:
    """Paragraphs and questions in the layout of SQuAD."""
    files = [path for path in clone.files("", ".json") if re.search(r"squad.*(train|dev|trial)", path)]
    for _, content in clone.read(files):
        for article in json.loads(content)["data"]:
            for paragraph in article["paragraphs"]:
                context = str(paragraph["context"])
                chunks = [text for kind, text, _ in prose(context, "") if kind == "passage"]
                yield from (("passage", chunk, "") for chunk in chunks)
                for question in paragraph["qas"]:
                    yield from _question(question, chunks)


def stories(clone: Clone) -> Iterator[Record]:
    """Stories for children, their blanked sentences put back."""
    for _, content in clone.read([path for path in clone.files("data/", ".json") if "qualify" not in path]):
        for item in json.loads(content)["data"]:
            text = str(item["context"])
            for number, choice in enumerate(item.get("answers") or [], start=1):
                text = text.replace(f"[BLANK{number}]", str(item["choices"][choice]))
            yield from story(re.sub(r"\[BLANK\d+\]|\s+", "", text), held=8)


def reviews(clone: Clone) -> Iterator[Record]:
    """Customers about hotels, meals and shopping."""
    tables = [text for _, text in clone.zipped("datasets/online_shopping_10_cats/online_shopping_10_cats.zip", ".csv")]
    tables += [
        clone.text("datasets/ChnSentiCorp_htl_all/ChnSentiCorp_htl_all.csv"),
        clone.text("datasets/waimai_10k/waimai_10k.csv"),
    ]
    for table in tables:
        for row in csv.DictReader(io.StringIO(table.lstrip("\ufeff"))):
            yield from prose((row.get("review") or "").lstrip("\ufeff"), "", low=8)


def markdown_prose(clone: Clone) -> Iterator[Record]:
    """Chinese prose of Markdown files under their headings."""
    for path, content in clone.read(clone.files("", ".md")):
        if path.endswith("_origin.md"):
            continue
        heading = ""
        for block in re.split(r"\n\s*\n", re.sub(r"```.*?```", "", content.decode("utf-8", "replace"), flags=re.S)):
            body = block
            if block.startswith("#"):
                heading = _MARKDOWN.sub(r"\1", block.splitlines()[0]).strip()
                body = "\n".join(block.splitlines()[1:])
            yield from prose(re.sub(r"\s+", " ", _MARKDOWN.sub(r"\1", body)).strip(" -"), heading)


def _question(question: dict[str, Any], chunks: list[str]) -> Iterator[Record]:
    answers = [str(answer["text"]) for answer in question.get("answers") or [] if answer.get("text")]
    for chunk in chunks:
        if answers and answers[0] in chunk:
            yield "question", str(question["question"]), chunk
            return
