"""Train a general dictionary from files of text lines (``python -m scripts.train_general_dictionaries --help``).

The sources of the two shipped dictionaries, and how they were cut into lines, are in
``cem_rag_app/zpkg/dictionaries/README.md``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from cem_rag_app.zpkg.dictionary import train_dictionary

# A dictionary repeats phrases of its sources word for word, so lines that may identify somebody stay out.
_IDENTIFYING = re.compile(r"https?:|www\.|@|(?<!\d)\d{7,}(?!\d)")


def samples(lines: Iterable[str], target: int) -> Iterator[bytes]:
    """Consecutive lines joined to chunks of about ``target`` bytes, as a memory joins messages.

    Lines with links, addresses or long numbers stay out.
    """
    chunk: list[str] = []
    size = 0
    for line in lines:
        if _IDENTIFYING.search(line):
            continue
        chunk.append(line)
        size += len(line.encode())
        if size >= target:
            yield "\n".join(chunk).encode()
            chunk, size = [], 0
    if chunk:
        yield "\n".join(chunk).encode()


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path), help="The dictionary file to write.")
@click.option("--size", default=32_768, show_default=True, help="Bytes of the dictionary.")
@click.option("--chunk", default=200, show_default=True, help="Bytes of the chunks that lines are joined to.")
@click.option("--share", default=1_500_000, show_default=True, help="Bytes taken of each file at most.")
def main(files: tuple[Path, ...], output: Path, size: int, chunk: int, share: int) -> None:
    """Train a dictionary on FILES, UTF-8 text with one message or sentence a line.

    Every file gives at most its share, from chunks spread over the whole of it, so that one large
    source does not drown the others. The same files give the same dictionary.
    """
    chosen: list[bytes] = []
    for file in files:
        chunks = list(samples(file.read_text(encoding="utf-8").splitlines(), chunk))
        step = max(1, -(-sum(map(len, chunks)) // share))
        chosen += chunks[::step]
        click.echo(f"{file}: {len(chunks[::step])} of {len(chunks)} chunks")
    dictionary = train_dictionary(chosen, size)
    output.write_bytes(dictionary.data)
    click.echo(f"{output}: {len(dictionary.data)} bytes, sha256 {dictionary.digest}")


if __name__ == "__main__":
    main()
