"""English sources of the training corpus: prose from textbooks, abstracts, papers, news and documentation."""

# ruff: noqa: S311 - samples are drawn with fixed seeds; nothing here is secret.

from __future__ import annotations

import csv
import html
import io
import lzma
import random
import re
from collections.abc import Callable, Iterator

from scripts.corpus_git import Clone

Record = tuple[str, str, str]
"""``("passage", text, "")`` or ``(kind of pair, left, right)``."""

OPENSTAX_BOOKS = ("introduction-anthropology", "physics", "principles-economics-bundle", "statistics")
"""The books that are CC BY 4.0; others of the series are CC BY-NC-SA and are left out."""
ARXIV_CATEGORIES = {
    "physics.flu-dyn": 20_000, "physics.class-ph": 4_000, "physics.app-ph": 3_000, "physics.plasm-ph": 3_000,
    "physics.comp-ph": 3_000, "physics.ao-ph": 3_000, "physics.space-ph": 3_000, "physics.geo-ph": 2_000,
    "physics.acc-ph": 1_500, "physics.chem-ph": 1_500, "physics.med-ph": 1_500, "physics.soc-ph": 2_000,
    "nlin.CD": 1_500, "cs.IR": 4_000, "cs.DL": 4_000, "cs.CE": 2_000, "cs.CL": 2_500, "cs.CY": 2_500, "cs.DB": 2_000,
    "cs.DC": 1_500, "cs.HC": 2_500, "cs.NI": 1_500, "cs.RO": 2_000, "cs.SE": 2_500, "cs.SI": 1_500, "cs.SY": 2_500,
    "eess.SP": 1_500, "eess.IV": 1_000, "econ.EM": 1_000, "econ.GN": 1_000, "q-bio.NC": 1_500, "q-bio.PE": 1_500,
    "stat.AP": 2_000, "stat.ME": 1_000, "math.HO": 1_000,
}  # fmt: skip
"""How many abstracts of an arXiv category are read; engineering, libraries and everyday subjects count most."""
_ARXIV_FOLDERS = ("processed_data/20200101/per_category", "processed_data/20190101/per_category")
_FORMULA = re.compile(r"\$[^$]{1,200}\$")
_COMMAND = re.compile(r"\\[a-zA-Z]+\s?|[{}~]")
_TAG = re.compile(r"<[^>]+>")
_SPACE = re.compile(r"\s+")
_SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])")


def sources() -> dict[str, tuple[str, Callable[[Clone], Iterator[Record]]]]:
    """Repository name to its licence and reader."""
    table: dict[str, tuple[str, Callable[[Clone], Iterator[Record]]]] = {
        f"openstax/osbooks-{book}": ("CC BY 4.0", openstax) for book in OPENSTAX_BOOKS
    }
    table["LIAAD/KeywordExtractor-Datasets"] = ("none stated; collections published for research", keyword_collections)
    table["python/peps"] = ("public domain or CC0", python_peps)
    table["nltk/nltk_data"] = ("none stated for the two corpora read, abc and state_union", nltk_corpora)
    table["staeiou/arxiv_archive"] = ("CC0 1.0 (arXiv's metadata)", arxiv_abstracts)
    return table


def openstax(clone: Clone) -> Iterator[Record]:
    """Textbook modules (CNXML): paragraphs, and section title to paragraph pairs."""
    for _, content in clone.read(clone.files("modules/", ".cnxml")):
        document = content.decode("utf-8", "replace")
        title = _plain(_first(r"<title>(.*?)</title>", document))
        heading = title
        for match in re.finditer(r"<title>(.*?)</title>|<para\b[^>]*>(.*?)</para>", document, re.S):
            if match.group(1) is not None:
                heading = _plain(match.group(1))
                continue
            # A formula leaves a hole in the sentence: such paragraphs are kept only when they are few.
            body = match.group(2)
            if body.count("<m:math") > 2:
                continue
            yield from prose(_plain(body), f"{title}: {heading}" if heading != title else title)


def keyword_collections(clone: Clone) -> Iterator[Record]:
    """Abstracts, papers, theses and news of the keyphrase collections; English ones only."""
    english = ("Inspec", "citeulike180", "SemEval2010", "theses100", "500N-KPCrowd-v1.1", "wiki20", "www", "kdd",
               "Nguyen2007", "SemEval2017", "fao30")  # fmt: skip
    for name in english:
        for _, text in clone.zipped(f"datasets/{name}.zip", ".txt"):
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            if not lines:
                continue
            # The first line is the title; papers wrap their lines, abstracts do not.
            title = lines[0] if len(lines[0]) < 160 else ""
            yield from prose(" ".join(lines[1:] if title else lines).replace("- ", "-"), title)


def python_peps(clone: Clone) -> Iterator[Record]:
    """Python enhancement proposals: prose paragraphs of the reStructuredText."""
    for _, content in clone.read(clone.files("peps/pep-", ".rst")):
        for block in content.decode("utf-8", "replace").split("\n\n"):
            if re.match(r"[A-Z]", block) and "::" not in block and "\n    " not in block:
                yield from prose(_SPACE.sub(" ", re.sub(r"[`*_|]+", "", block)).strip(), "")


def nltk_corpora(clone: Clone) -> Iterator[Record]:
    """Science and rural news (ABC) and presidential addresses."""
    for path in ("packages/corpora/abc.zip", "packages/corpora/state_union.zip"):
        for _, text in clone.zipped(path, ".txt"):
            for block in re.split(r"\n\s*\n|\r\n", text):
                yield from prose(_SPACE.sub(" ", block).strip(), "")


def arxiv_abstracts(clone: Clone) -> Iterator[Record]:
    """Titles and abstracts from arXiv's own metadata, some categories, each paper once."""
    seen: set[str] = set()
    for category in ARXIV_CATEGORIES:
        for row in trained_on(clone, category):
            if row["arxiv_id"] not in seen:
                seen.add(row["arxiv_id"])
                yield from prose(_without_tex(row["abstract"]), _without_tex(row["title"]))


def trained_on(clone: Clone, category: str) -> list[dict[str, str]]:
    """The papers of a category that the training corpus takes."""
    for folder in _ARXIV_FOLDERS:
        rows = read_rows(clone, f"{folder}/{category}.tsv.xz")
        if rows:
            random.Random(category).shuffle(rows)
            return rows[: ARXIV_CATEGORIES[category]]
    return []


def read_rows(clone: Clone, path: str) -> list[dict[str, str]]:
    """The papers of one of the archive's tables; none where the clone does not hold it."""
    content = b"".join(data for _, data in clone.read([path]))
    if not content:
        return []
    return list(csv.DictReader(io.StringIO(lzma.decompress(content).decode("utf-8")), delimiter="\t"))


def prose(text: str, title: str) -> Iterator[Record]:
    """Cut a text into chunks at sentence ends, most of 200 to 500 bytes; the first also pairs with its title."""
    if len(text) < 120 or _looks_broken(text):
        return
    draw = random.Random(len(text) * 31 + ord(text[0]))
    chunk, target, first = "", _target(draw), True
    for sentence in _SENTENCE.split(text):
        if chunk and len(chunk) + len(sentence) > target:
            if len(chunk) >= 120:
                yield "passage", chunk, ""
                if title and first:
                    yield "title", title, chunk
                first = False
            chunk, target = "", _target(draw)
        chunk = f"{chunk} {sentence}".strip()[:2000]
    if len(chunk) >= 120:
        yield "passage", chunk, ""
        if title and first:
            yield "title", title, chunk


def _target(draw: random.Random) -> int:
    return draw.randint(500, 1100) if draw.random() < 0.12 else draw.randint(220, 520)


def _without_tex(text: str) -> str:
    return _SPACE.sub(" ", _COMMAND.sub("", _FORMULA.sub("", text))).strip()


def _looks_broken(text: str) -> bool:
    letters = sum(character.isalpha() or character == " " for character in text)
    return letters < 0.8 * len(text)


def _plain(markup: str) -> str:
    return _SPACE.sub(" ", html.unescape(_TAG.sub("", re.sub(r"<m:math.*?</m:math>", " ", markup, flags=re.S)))).strip()


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.S)
    return found.group(1) if found else ""
