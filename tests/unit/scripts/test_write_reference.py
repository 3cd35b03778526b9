"""The reference pages are what the commands and the settings say today."""

from __future__ import annotations

import pytest

from cem_rag_app.settings import Settings
from scripts.write_reference import DOCS, commands_reference, settings_reference


@pytest.mark.parametrize(("page", "written"), [("cli.md", commands_reference), ("settings.md", settings_reference)])
def test_the_page_is_current(page, written):
    stands = (DOCS / page).read_text(encoding="utf-8")
    assert stands == written(), f"Run: python -m scripts.write_reference (docs/{page} is behind)"


def test_every_setting_has_its_variable_and_its_meaning_on_the_page():
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        section = getattr(field.annotation, "model_fields", None)
        for variable, inner in (
            {f"{name}__{key}": f for key, f in section.items()}.items() if section else [(name, field)]
        ):
            assert inner.description, variable
            (row,) = [line for line in page.splitlines() if f"`CEM_RAG_{variable.upper()}`" in line]
            assert inner.description in row
