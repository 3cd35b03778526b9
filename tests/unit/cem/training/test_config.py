"""A configuration out of recipes, options and defaults."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from cem_rag_app.cem.training.config import PLACES, VIEWS, NgramConfig, TrainingConfig, build_config, plain
from cem_rag_app.errors import SettingsError

PLACE = {"teacher": "t", "texts": "folder/texts.txt", "output": "out"}


def test_a_number_may_be_named_with_its_section_or_without_it():
    for name in ("words", "ngram.words"):
        assert build_config(PLACE, {name: 5}).ngram.words == 5
    assert build_config(PLACE, {"learning_rate": 0.5}).optimizer.learning_rate == 0.5
    assert build_config(PLACE, {"loss": {"alpha": 3}}, {"beta": 2}).loss.alpha == 3.0


def test_later_layers_stand_above_earlier_ones_and_leave_the_rest_alone():
    config = build_config(PLACE, {"loss": {"alpha": 2.0, "beta": 0.5}, "epochs": 3}, {"loss.beta": 0.7, "seed": 4})
    assert (config.loss.alpha, config.loss.beta, config.epochs, config.seed) == (2.0, 0.7, 3, 4)


def test_without_numbers_it_is_the_defaults():
    config = build_config(PLACE, {"view": "ngram"})
    assert config.ngram == NgramConfig()
    assert config.output == Path("out")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"wordz": 1}, "has no setting 'wordz'"),
        ({"ngram.wordz": 1}, "wordz"),
        ({"epochs": 0}, "epochs cannot be 0"),
        ({"batch_size": 1}, "batch_size cannot be 1"),
        ({"loss": {"alpha": -1}}, "loss.alpha cannot be -1"),
        ({"distance": "l1"}, "loss.distance cannot be 'l1'"),
        ({"view": "words"}, "view cannot be 'words'"),
        ({"warm_up": 1.5}, "optimizer.warm_up cannot be 1.5"),
        ({"dictionaries": ()}, "dictionaries"),
        ({"level": "high"}, "level cannot be 'high'"),
        ({"loss": 3}, "loss cannot be 3"),
    ],
)
def test_names_and_values_that_mean_nothing_are_refused(given: dict, said: str):
    with pytest.raises(SettingsError, match=said):
        build_config({**PLACE, "view": "ngram"}, given)


def test_a_recipe_names_files_without_their_folders_and_builds_the_same_configuration():
    config = build_config(PLACE, {"view": "ngram", "pairs": "/a/b/pairs.tsv", "words": 7, "alpha": 2.0, "cache": "/c"})
    recipe = plain(config)
    assert (recipe["texts"], recipe["pairs"], recipe["ngram"]["words"]) == ("texts.txt", "pairs.tsv", 7)
    assert not {"output", "cache", "symbols", "frame"} & set(recipe)
    again = build_config(recipe, PLACE, {"pairs": "/a/b/pairs.tsv", "cache": "/c"})
    assert again == config


def test_a_configuration_can_be_written_down_in_python():
    config = TrainingConfig(teacher="t", texts=Path("a"), output=Path("b"), ngram=NgramConfig(words=3))
    assert build_config({**PLACE, "texts": "a", "output": "b", "words": 3, "view": config.view}).ngram == config.ngram


def test_the_documents_name_every_number():
    lines = (Path(__file__).parents[4] / "docs" / "training.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in lines if line.startswith("| ")]
    named = {section.strip("`"): fields.split(", ") for section, fields in rows}
    numbers = {item.name: item for item in dataclasses.fields(TrainingConfig)}
    sections = {"loss", "optimizer", *VIEWS}
    for section in sections:
        kind = type(getattr(build_config(PLACE), section))
        assert named[section] == [item.name for item in dataclasses.fields(kind)]
    assert set(named["-"]) == set(numbers) - sections - {*PLACES, "teacher", "name"}
