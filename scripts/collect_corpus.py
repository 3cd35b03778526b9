"""Rebuild the public training corpus from local clones of the repositories named in ``docs/corpus.md``.

    python -m scripts.collect_corpus --clones FOLDER --out FOLDER [--language en|zh]

Writes ``OUT/LANGUAGE/passages.txt`` (one passage a line, shuffled with a fixed seed so that every prefix is a fair
sample), ``OUT/LANGUAGE/pairs.tsv`` (kind, left, right) and ``OUT/LANGUAGE/sources.json`` (what came from where).
Nothing is downloaded, and nothing of a collection that this project is measured on is read.
"""

# ruff: noqa: S311 - samples are drawn with fixed seeds; nothing here is secret.

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
from pathlib import Path

from scripts import corpus_chinese, corpus_english
from scripts.corpus_git import find_clone

_SEED = 20261120


def main(arguments: list[str] | None = None) -> int:
    """Collect one language or both; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clones", type=Path, required=True, help="folder with clones, as OWNER/NAME or OWNER+NAME")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--language", choices=("en", "zh"), action="append", help="default: both")
    options = parser.parse_args(arguments)
    for language in options.language or ("en", "zh"):
        collect(language, options.clones, options.out / language)
    return 0


def collect(language: str, clones: Path, out: Path) -> None:
    """Read every source of a language that is there, and write its files."""
    table = corpus_english.sources() if language == "en" else corpus_chinese.sources()
    passages: dict[bytes, str] = {}
    pairs: dict[bytes, str] = {}
    report = []
    for name, (licence, read) in table.items():
        clone = find_clone(name, clones)
        if clone is None:
            print(f"{name}: no clone under {clones}, left out")
            continue
        before = (len(passages), len(pairs))
        for kind, raw_left, raw_right in read(clone):
            left, right = _line(raw_left), _line(raw_right)
            if kind == "passage" and left:
                passages.setdefault(_key(left), left)
            elif left and right and left != right:
                pairs.setdefault(_key(f"{left}\t{right}"), f"{kind}\t{left}\t{right}")
        counts = {"passages": len(passages) - before[0], "pairs": len(pairs) - before[1]}
        report.append({"repository": name, "licence": licence, **counts})
        print(f"{name}: {counts}")
    out.mkdir(parents=True, exist_ok=True)
    for path, lines in ((out / "passages.txt", list(passages.values())), (out / "pairs.tsv", list(pairs.values()))):
        random.Random(_SEED).shuffle(lines)
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    (out / "sources.json").write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _line(text: str) -> str:
    return re.sub(r"[\s\x00-\x1f\x7f\ufeff\u2028\u2029]+", " ", text).strip()


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=12).digest()


if __name__ == "__main__":
    raise SystemExit(main())
