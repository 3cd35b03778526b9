"""Fetch a sentence-transformers model into a folder, so that a memory can use it offline.

``python -m scripts.download_model``
"""

from __future__ import annotations

from pathlib import Path

import click

DEFAULT = "Qwen/Qwen3-Embedding-0.6B"


@click.command()
@click.argument("name", default=DEFAULT)
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), help="Folder.  [default: models/NAME]")
@click.option("--endpoint", envvar="HF_ENDPOINT", help="Another model hub, for example a mirror.")
def main(name: str, to: Path | None, endpoint: str | None) -> None:
    """Fetch the model NAME (default: Qwen/Qwen3-Embedding-0.6B, 1024 dimensions, some 1.2 GB)."""
    import os

    if endpoint:
        os.environ["HF_ENDPOINT"] = endpoint  # read by huggingface_hub when it is imported, which is below
    from sentence_transformers import SentenceTransformer

    folder = to or Path("models") / name.rpartition("/")[2]
    click.echo(f"Fetching {name} ...", err=True)
    try:
        model = SentenceTransformer(name, device="cpu")
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise click.ClickException(
            f"{name} could not be fetched: {reason} Check the name and the network; --endpoint names another hub."
        ) from error
    model.save_pretrained(str(folder))
    click.echo(f"{folder}  ({model.get_sentence_embedding_dimension()} dimensions)")
    click.echo(f"Use it: cem-rag import ... --encoder sentence-transformers:{folder}")


if __name__ == "__main__":
    main()
