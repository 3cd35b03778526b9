"""Which checkpoint plays which system."""

from __future__ import annotations

from pathlib import Path

import pytest

from cem_rag_app.errors import CheckpointError, SettingsError
from cem_rag_app.evaluation.students import students_for


class Encoder:
    def __init__(self, folder: str) -> None:
        self.name = Path(folder).name
        self.teacher, self.view = self.name.split("_")[:2]


@pytest.fixture(autouse=True)
def shipped(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], Path]:
    """Checkpoints are named TEACHER_VIEW_WHICH; english has two views, chinese one."""
    ships = {
        ("english", "symbols"): Path("english_symbols_shipped"),
        ("english", "ngram"): Path("english_ngram_shipped"),
        ("chinese", "ngram"): Path("chinese_ngram_shipped"),
    }
    monkeypatch.setattr("cem_rag_app.cem.encoder.shipped_checkpoint", lambda teacher, view: ships.get((teacher, view)))
    monkeypatch.setattr("cem_rag_app.cem.encoder.CompressedEncoder.from_pretrained", lambda f: Encoder(str(f)))
    return ships


def names(systems: list[str], teacher: str, *checkpoints: str) -> dict[str, str]:
    return {system: student.name for system, student in students_for(systems, teacher, checkpoints).items()}


ALL = ["bm25", "cem-symbols", "cem-ngram", "hybrid"]


def test_what_ships_for_the_teacher_plays_its_view_and_a_bag_plays_symbols_where_nothing_better_ships() -> None:
    assert names(ALL, "english") == {"cem-symbols": "english_symbols_shipped", "cem-ngram": "english_ngram_shipped"}
    assert names(ALL, "chinese") == {"cem-symbols": "chinese_ngram_shipped", "cem-ngram": "chinese_ngram_shipped"}
    assert names(["bm25"], "nobody") == {}


def test_a_named_checkpoint_takes_the_place_of_its_view() -> None:
    assert names(ALL, "english", "ngram=english_ngram_mine") == {
        "cem-symbols": "english_symbols_shipped",
        "cem-ngram": "english_ngram_mine",
    }
    assert names(["cem-symbols"], "english", "english_ngram_mine") == {"cem-symbols": "english_ngram_mine"}
    assert names(["cem-symbols"], "english", "a=b/english_symbols_mine") == {"cem-symbols": "english_symbols_mine"}
    assert names(["cem-frame"], "english", "frame=english_frame_mine") == {"cem-frame": "english_frame_mine"}


def test_what_does_not_fit_is_refused_by_name() -> None:
    with pytest.raises(CheckpointError, match=r"of the view 'frame' ships .* --checkpoint frame=DIR"):
        names(["cem-frame"], "english")
    with pytest.raises(CheckpointError, match="english_ngram_mine has the view 'ngram', not 'symbols'"):
        names(ALL, "english", "symbols=english_ngram_mine")
    with pytest.raises(CheckpointError, match="was trained for the text encoder 'english', not 'chinese'"):
        names(ALL, "chinese", "english_ngram_mine")
    with pytest.raises(SettingsError, match=r"No system uses the checkpoint 'english_frame_mine'\. Add cem-frame"):
        names(ALL, "english", "english_frame_mine")
