"""Make the static baseline's table of word vectors from a corpus and a text encoder.

Usage: ``python -m scripts.make_static passages.txt --output static-en [--teacher minilm-en] [--words 30000]``
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import click

from cem_rag_app.cem.teachers.registry import load_teacher
from cem_rag_app.evaluation.static import make_static


@click.command()
@click.argument("texts", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the table.")
@click.option("--teacher", default="minilm-en", show_default=True, help="Text encoder that embeds each word.")
@click.option("--words", default=30_000, show_default=True, help="Words of the table, the commonest of the corpus.")
@click.option("--limit", default=200_000, show_default=True, help="Lines of TEXTS that are read.")
@click.option("--device", default="cpu", show_default=True, help="Torch device of the text encoder.")
def main(texts: Path, output: Path, teacher: str, words: int, limit: int, device: str) -> None:
    """Read TEXTS, one text a line, and write the table."""
    with texts.open(encoding="utf-8") as lines:
        table = make_static(islice(lines, limit), load_teacher(teacher, device=device, batch_size=256), words=words)
    table.save(output, {"texts": texts.name, "lines": limit, "words": words})
    click.echo(f"{len(table.words)} words, {table.dimension} dimensions: {output}")


if __name__ == "__main__":
    main()
