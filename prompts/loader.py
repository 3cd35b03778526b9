"""Prompts are Markdown files with YAML front matter; this module reads and renders them.

A prompt says which inputs it takes, and a test holds that against its template. What people wrote and what was
recalled enters as a value, never as template text, and :func:`fence` marks it as data with a nonce that the
text could not have known.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml
from jinja2 import StrictUndefined, UndefinedError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cem_rag_app.errors import SettingsError


class FrontMatter(BaseModel):
    """What stands between the two ``---`` lines of a prompt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z_]+/[a-z_]+$")
    version: str = Field(pattern=r"^\d+\.\d+$")
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt, parsed."""

    front: FrontMatter
    template: str
    digest: str
    """First 16 hex digits of the file's SHA-256: names the exact words a record was made with."""

    def render(self, **inputs: Any) -> str:
        """The prompt with its inputs filled in.

        Raises:
            SettingsError: An input is missing or one was given that the prompt does not declare.
        """
        if set(inputs) != set(self.front.inputs):
            missing = sorted(set(self.front.inputs) - set(inputs))
            unknown = sorted(set(inputs) - set(self.front.inputs))
            raise SettingsError(f"Prompt {self.front.name}: missing inputs {missing}, unknown inputs {unknown}.")
        try:
            return _environment().from_string(self.template).render(**inputs)
        except UndefinedError as error:
            raise SettingsError(f"Prompt {self.front.name}: {error.message}.") from error

    def undeclared(self) -> set[str]:
        """The variables the template really uses."""
        return meta.find_undeclared_variables(_environment().parse(self.template))


def load_prompt(name: str) -> Prompt:
    """The prompt of that name, e.g. ``persona/plan``.

    Raises:
        SettingsError: There is no such prompt, or its front matter is not as it must be.
    """
    if name not in prompt_names():
        raise SettingsError(f"There is no prompt {name!r}.", remedy=f"There are: {', '.join(prompt_names())}.")
    area, file = name.split("/")
    text = resources.files("prompts").joinpath(area, f"{file}.md").read_text("utf-8")
    return parse_prompt(text, name)


def parse_prompt(text: str, name: str) -> Prompt:
    """Parse a prompt file's text; ``name`` is the name its place gives it."""
    opening, front, template = [*text.split("---\n", 2), "", ""][:3]
    if opening or not template.strip():
        raise SettingsError(f"Prompt {name}: it must start with front matter between two `---` lines.")
    try:
        parsed = FrontMatter.model_validate(yaml.safe_load(front))
    except (ValidationError, yaml.YAMLError) as error:
        raise SettingsError(f"Prompt {name}: its front matter is wrong: {error}") from error
    if parsed.name != name:
        raise SettingsError(f"Prompt {name}: its front matter calls it {parsed.name}.")
    return Prompt(parsed, template.strip() + "\n", hashlib.sha256(text.encode()).hexdigest()[:16])


@cache
def prompt_names() -> tuple[str, ...]:
    """All prompts that ship, as ``area/name``."""
    return tuple(
        sorted(
            f"{area.name}/{file.name.removesuffix('.md')}"
            for area in resources.files("prompts").iterdir()
            if area.is_dir()
            for file in area.iterdir()
            if file.name.endswith(".md")
        )
    )


def fence(text: str, nonce: str, label: str) -> str:
    """Mark text as data: what stands between the two lines is quoted, never obeyed.

    The nonce is random and new each turn, so text that was written before cannot close the fence; should it
    contain the nonce all the same, it is taken out.
    """
    body = text.replace(nonce, "")
    return f"<<<{label} {nonce}\n{body}\n{label} {nonce}>>>"


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    environment.filters["fence"] = fence
    return environment
