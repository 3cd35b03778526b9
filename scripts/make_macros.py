"""Make a folder of CAD-like macro sequences: ``python -m scripts.make_macros data --count 20000 --seed 1``.

Writes ``vec/0000/00000000.h5`` and so on (``z``, ``vec``, the label as an attribute) in subsets of 1,000, and
``train_val_test_split_data_split.json``: 80 % train, 10 % validation, 10 % test, as the drawing datasets have it.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import h5py
import numpy as np

from cem_rag_app.vectors.macros import MacroGenerator

SPLIT_FILE = "train_val_test_split_data_split.json"
SUBSET = 1_000


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--count", default=20_000, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=1, show_default=True)
@click.option("--dimension", default=256, show_default=True, type=click.IntRange(1, 16_384))
def main(folder: Path, count: int, seed: int, dimension: int) -> None:
    """Write the files and the split."""
    generator = MacroGenerator(seed, dimension)
    identifiers = []
    for number in range(count):
        part = generator.part()
        identifier = f"{number // SUBSET:04d}/{number:08d}"
        path = folder / "vec" / f"{identifier}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            file["z"] = part.z
            file["vec"] = part.vec.astype(np.int16)
            file.attrs["label"] = part.label
        identifiers.append(identifier)
    order = np.random.default_rng(seed).permutation(count)
    shuffled = [identifiers[place] for place in order.tolist()]
    first, second = count * 8 // 10, count * 9 // 10
    split = {"train": shuffled[:first], "validation": shuffled[first:second], "test": shuffled[second:]}
    (folder / SPLIT_FILE).write_text(json.dumps(split))
    print(f"{count:,} files in {folder / 'vec'}, split in {folder / SPLIT_FILE}")


if __name__ == "__main__":
    main()
