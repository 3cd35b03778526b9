"""Packs written by released versions stay readable."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cem_rag_app.zpkg.late import read_text
from cem_rag_app.zpkg.reader import open_pack

GOLDEN = Path(__file__).parents[2] / "golden" / "zpkg"
TEXTS = {
    folder / name: texts
    for folder in sorted(GOLDEN.glob("v*"))
    for name, texts in json.loads((folder / "texts.json").read_text(encoding="utf-8")).items()
}


@pytest.mark.parametrize("pack", TEXTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_golden_pack_gives_its_texts(pack: Path) -> None:
    with open_pack(pack) as reader:
        reader.verify()
        assert [read_text(frame, reader.dictionary) for frame in reader] == TEXTS[pack]


def test_every_golden_pack_has_its_texts() -> None:
    assert set(TEXTS) == set(GOLDEN.glob("v*/*.zpkg"))
    assert len(TEXTS) >= 4
