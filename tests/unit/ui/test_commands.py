"""What single commands make of their arguments."""

from __future__ import annotations

import json
import operator
from importlib import resources
from pathlib import Path

import click
import pytest

from cem_rag_app.cem.training.config import build_config
from cem_rag_app.errors import InputError
from ui.commands.train import NUMBERS, training_config


def test_every_number_of_the_training_command_is_one_of_the_recipe():
    config = build_config({"teacher": "t", "texts": "x", "output": "y"})
    for name, kind, _ in NUMBERS:
        value = operator.attrgetter(name)(config)
        assert value in kind.choices if isinstance(kind, click.Choice) else type(value) is kind


def test_a_recipe_is_taken_from_a_checkpoint_and_what_is_said_stands_above_it(tmp_path):
    recipe = {"teacher": "minilm-en", "epochs": 3, "words": 500, "texts": "elsewhere.txt", "scores": {"cosine": 0.5}}
    (tmp_path / "config.json").write_text(json.dumps({"name": "x", "recipe": {**recipe, "loss": {"alpha": 2.0}}}))
    config = training_config(tmp_path, {"texts": tmp_path / "t.txt", "output": tmp_path, "epochs": 9, "seed": None})
    assert (config.teacher, config.epochs, config.ngram.words, config.seed) == ("minilm-en", 9, 500, 0)
    assert config.texts == tmp_path / "t.txt"
    assert config.loss.alpha == 2.0
    assert config.view == "ngram"


@pytest.mark.parametrize("name", ["cem-mini-en", "cem-ngram-en", "cem-mini-zh"])
def test_the_recipes_of_the_shipped_checkpoints_are_read(name, tmp_path):
    folder = Path(str(resources.files("cem_rag_app.cem"))) / "checkpoints" / name
    config = training_config(folder, {"texts": tmp_path / "t.txt", "output": tmp_path})
    recipe = json.loads((folder / "config.json").read_text())["recipe"]
    assert (config.teacher, config.language, config.level) == (recipe["teacher"], recipe["language"], recipe["level"])


def test_training_without_a_text_encoder_asks_for_one(tmp_path):
    with pytest.raises(InputError, match="Name it with --encoder, or a --recipe"):
        training_config(None, {"texts": tmp_path, "output": tmp_path})


def test_a_file_that_is_no_recipe_is_named(tmp_path):
    (tmp_path / "r.json").write_text("[1]")
    with pytest.raises(InputError, match=r"r\.json: no recipe can be read"):
        training_config(tmp_path / "r.json", {})
