"""What zstd levels and dictionary sizes cost and save (``python -m scripts.measure_storage --help``)."""

from __future__ import annotations

from pathlib import Path

import click

from cem_rag_app.chunking import split_text
from cem_rag_app.zpkg.late import decompress
from cem_rag_app.zpkg.measure import measure_storage

_HEAD = "| level | dictionary | chunks | text | pack | ratio | ten frames, ms | ten texts, ms | MB/s | training, s |"


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--level", "levels", multiple=True, default=(3, 12, 19), show_default=True, help="zstd level.")
@click.option(
    "--dictionary-size",
    "sizes",
    multiple=True,
    default=(0, 16_384, 65_536, 112_640, 262_144, 524_288, 1_048_576),
    show_default=True,
    help="Bytes of the dictionary; 0 is none.",
)
@click.option("--chunk-target", default=440, show_default=True, help="Bytes of a chunk, about.")
@click.option("--first", multiple=True, type=int, help="Measure the first so many chunks; all without it.")
def main(
    files: tuple[Path, ...], levels: tuple[int, ...], sizes: tuple[int, ...], chunk_target: int, first: tuple[int, ...]
) -> None:
    """Print a Markdown table for FILES, UTF-8 text with one document a line. Equal chunks count once."""
    documents = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    chunks = list(dict.fromkeys(chunk.encode() for line in documents for chunk in split_text(line, chunk_target)))
    click.echo(f"{_HEAD}\n{'|---:' * 10}|")
    for count in first or (len(chunks),):
        for size in sizes:
            for point in measure_storage(chunks[:count], levels, (size,), open_frame=decompress):
                click.echo(
                    f"| {point.level} | {point.dictionary_size:,} | {point.chunks:,} | {point.text_bytes:,} "
                    f"| {point.pack_bytes:,} | {point.ratio:.2f} | {point.access_ms:.4f} | {point.read_ms:.4f} "
                    f"| {point.compress_mb_per_second:.1f} | {point.train_seconds:.1f} |"
                )


if __name__ == "__main__":
    main()
