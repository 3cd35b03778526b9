"""Chinese sources about everyday life, and the two that tie Chinese to English: a dictionary and translated sentences.

The tied ones give pairs of the kinds ``gloss`` (word, its English meanings) and ``translation`` (Chinese, English).
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator

from scripts.corpus_english import Record
from scripts.corpus_git import Clone
from scripts.corpus_pieces import fits, prose, story

_ENTRY = re.compile(r"(\S+) (\S+) \[[^\]]*\] /(.+)/")
_ASIDE = re.compile(r"\[[^\]]*\]|\([^)]*\)")
_NOT_A_MEANING = ("surname ", "CL:", "variant of", "old variant", "see ", "abbr. for", "used in ", "also written")


def sources() -> dict[str, tuple[str, Callable[[Clone], Iterator[Record]]]]:
    """Repository name to its licence and reader."""
    return {
        "zhongwanjun/MemoryBank-SiliconFriend": ("MIT; held out as a whole", memory_bank),
        "ymcui/Chinese-Cloze-RC": ("CC BY-SA 4.0", fairy_tales),
        "global-asp/global-asp": ("CC BY 4.0; the stories marked CC BY alone", children_stories),
        "zejunwang1/CSTS": ("none stated; of it a translation of SNLI, which is CC BY-SA 4.0", captions),
        "jayeew/MachineTranslation-Transformer": ("sentences of Tatoeba, CC BY 2.0 FR", tatoeba),
        "levipare/tocfl-english": ("CC-CEDICT, CC BY-SA 4.0", dictionary),
    }


def memory_bank(clone: Clone) -> Iterator[Record]:
    """Fifteen people tell a companion about their days: never trained on, the measure of talk from another domain."""
    for name, person in json.loads(clone.text("eval_data/cn/memory_bank_cn.json") or "{}").items():
        for day, exchanges in person["history"].items():
            told = sorted((str(exchange["query"]) for exchange in exchanges), key=len)
            if len(told) < 3:
                continue
            rest = [str(line) for each in exchanges if each["query"] != told[-1] for line in each.values()]
            query = " ".join(rest[-8:])
            if fits(told[-1], low=12) and name and day:
                yield "held-memory", query, told[-1]


def fairy_tales(clone: Clone) -> Iterator[Record]:
    """Stories and essays of and for children, from a cloze test: one sentence a line, words apart."""
    told: set[str] = set()
    for _, content in clone.read(["children_fairy_tale/cft.zip"]):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in sorted(archive.namelist()):
                for block in re.split(r"(?m)^(?=1 \|\|\|)", archive.read(name).decode("utf-8", "replace")):
                    lines = [line.split("|||") for line in block.splitlines()]
                    sentences = [re.sub(r"\s+", "", parts[1]) for parts in lines if len(parts) == 2]
                    answers = [re.sub(r"\s+", "", parts[2]) for parts in lines if len(parts) == 3]
                    text = re.sub(r"(?<=[。！？])”", "", "".join(sentences)).replace("XXXXX", "".join(answers[:1]))
                    if text and text[:30] not in told:
                        told.add(text[:30])
                        yield from story(text, held=4)


def children_stories(clone: Clone) -> Iterator[Record]:
    """Picture books of everyday life and fables, put together from their pages."""
    for path, content in clone.read(clone.files("zh/", ".md")):
        pages = [page.strip() for page in re.split(r"(?m)^##\s*$", content.decode("utf-8", "replace"))]
        if path != "zh/README.md" and re.search(r"License: \[CC-BY\]", pages[-1]):
            yield from prose("".join(re.sub(r"\s+", "", page) for page in pages[1:-1]), re.sub(r"\W", "", pages[0]))


def captions(clone: Clone) -> Iterator[Record]:
    """What people do in pictures, and what follows from it (SNLI in Chinese)."""
    for name in ("Chinese-SNLI/dev.txt", "Chinese-SNLI/test.txt"):
        for line in clone.text(name).splitlines():
            parts = line.split("\t")
            if len(parts) == 3 and fits(parts[0], low=6):
                yield "passage", parts[0], ""
                if parts[2] == "entailment" and fits(parts[1], low=4):
                    yield "caption", parts[0], parts[1]


def tatoeba(clone: Clone) -> Iterator[Record]:
    """Everyday sentences and their translations."""
    for line in clone.text("cmn.txt").splitlines():
        parts = line.split("\t")
        if len(parts) >= 2 and fits(parts[1], low=4):
            yield "passage", parts[1], ""
            yield "translation", parts[1], parts[0]


def dictionary(clone: Clone) -> Iterator[Record]:
    """Words and what they mean in English, names and cross-references left out."""
    meanings: dict[str, list[str]] = {}
    for _, content in clone.read(["data/cedict_1_0_ts_utf-8_mdbg.txt.gz"]):
        for line in gzip.decompress(content).decode("utf-8").splitlines():
            entry = _ENTRY.match(line)
            if entry and len(entry.group(2)) <= 3:
                senses = [sense for sense in entry.group(3).split("/") if not sense.startswith(_NOT_A_MEANING)]
                plain = [_ASIDE.sub("", sense).strip(" ,;") for sense in senses]
                meanings.setdefault(entry.group(2), []).extend(sense for sense in plain if sense)
    for word, senses in meanings.items():
        if senses and fits(word, low=1):
            yield "gloss", word, "; ".join(dict.fromkeys(senses[:4]))
