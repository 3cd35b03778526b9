"""Write a large, real collection in BEIR's form: abstracts of arXiv (CC0), for measuring a store at scale.

Usage: ``python -m scripts.collect_abstracts --clone FOLDER --output FOLDER``, where the first folder holds a clone of
``staeiou/arxiv_archive``. ``corpus.jsonl`` gets the abstracts with their category and year, ``queries.jsonl`` the
titles of some of them. Papers that the shipped encoders were trained on (:mod:`scripts.corpus_english`) are left out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from scripts.corpus_english import ARXIV_CATEGORIES, read_rows, trained_on
from scripts.corpus_git import Clone, find_clone

_REPOSITORY = "staeiou/arxiv_archive"
_QUERY_EVERY = 97


def abstracts(clone: Clone) -> Iterator[dict[str, str]]:
    """Rows of arXiv's metadata, each paper once, in order of category."""
    seen = {row["arxiv_id"] for category in tqdm(ARXIV_CATEGORIES) for row in trained_on(clone, category)}
    for path in tqdm(clone.files("processed_data/20200101/per_category/", ".tsv.xz"), unit="category"):
        for row in read_rows(clone, path):
            if row["arxiv_id"] not in seen and row["abstract"]:
                seen.add(row["arxiv_id"])
                yield {**row, "category": Path(path).name.removesuffix(".tsv.xz")}


def main() -> None:
    """Parse, read, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clone", type=Path, required=True, help="folder under which the clone lies")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--bytes", type=int, default=0, help="bytes of text at most; 0 is all")
    arguments = parser.parse_args()
    clone = find_clone(_REPOSITORY, arguments.clone)
    if clone is None:
        parser.error(f"there is no clone of {_REPOSITORY} in {arguments.clone}")
    arguments.output.mkdir(parents=True, exist_ok=True)
    documents = queries = size = 0
    with (
        (arguments.output / "corpus.jsonl").open("w", encoding="utf-8") as corpus,
        (arguments.output / "queries.jsonl").open("w", encoding="utf-8") as titles,
    ):
        for row in abstracts(clone):
            text = " ".join(row["abstract"].split())
            line = {"_id": row["arxiv_id"], "text": text, "category": row["category"], "year": row["created"][:4]}
            corpus.write(json.dumps(line, ensure_ascii=False) + "\n")
            if documents % _QUERY_EVERY == 0:
                query = {"_id": f"title-{row['arxiv_id']}", "text": " ".join(row["title"].split())}
                titles.write(json.dumps(query, ensure_ascii=False) + "\n")
                queries += 1
            documents += 1
            size += len(text.encode())
            if arguments.bytes and size >= arguments.bytes:
                break
    print(f"{documents:,} documents of {size:,} bytes, {queries:,} queries in {arguments.output}")


if __name__ == "__main__":
    main()
