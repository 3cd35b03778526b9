"""Write a collection as a BEIR folder: ``corpus.jsonl``, ``queries.jsonl``, ``qrels/test.tsv``.

Usage: ``python -m scripts.write_beir cranfield --data FOLDER --output FOLDER``
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from cem_rag_app.evaluation.collections import Collection, load_collection


def write_beir(collection: Collection, output: Path) -> None:
    """Write the three files; the folder is made when it is missing."""
    (output / "qrels").mkdir(parents=True, exist_ok=True)
    for name, texts in (("corpus.jsonl", collection.corpus), ("queries.jsonl", collection.queries)):
        with (output / name).open("w", encoding="utf-8") as file:
            for key, text in texts.items():
                file.write(json.dumps({"_id": key, "text": text}, ensure_ascii=False) + "\n")
    with (output / "qrels" / "test.tsv").open("w", encoding="utf-8") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        for query, judged in collection.qrels.items():
            file.writelines(f"{query}\t{document}\t{gain}\n" for document, gain in judged.items())


def main() -> None:
    """Parse, load, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collection", help="cranfield, cisi, madial-zh, drcd or a BEIR folder")
    parser.add_argument("--data", type=Path, default=None, help="folder of the collection's files")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    collection = load_collection(arguments.collection, arguments.data)
    write_beir(collection, arguments.output)
    print(f"{len(collection.corpus)} documents, {len(collection.queries)} queries in {arguments.output}")


if __name__ == "__main__":
    main()
