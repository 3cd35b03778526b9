"""The repository says what it is: floors, packages and documents agree with one another."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _top_level_packages() -> set[str]:
    return {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}


def _layered_packages() -> set[str]:
    contract = next(c for c in PYPROJECT["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    return {name.strip() for layer in contract["layers"] for name in layer.split(":")}


def test_the_layered_packages_are_the_top_level_folders() -> None:
    assert _layered_packages() == _top_level_packages()


def test_the_distribution_ships_exactly_the_layered_packages() -> None:
    include = PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {pattern.rstrip("*") for pattern in include} == _layered_packages()


def test_every_source_file_stays_under_four_hundred_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for package in sorted(_layered_packages())
        for path in (ROOT / package).rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}


def test_import_contracts_hold() -> None:
    run = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr


HEAVY = (
    "torch",
    "transformers",
    "sentence_transformers",
    "streamlit",
    "faiss",
    "langchain_core",
    "numba",
    "sqlalchemy",
)


def test_the_command_line_imports_nothing_heavy_to_print_help() -> None:
    code = (
        "import sys\nfrom ui.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip().endswith("HEAVY []"), run.stdout[-300:]


MODELS = ("transformers", "sentence_transformers", "google.genai")
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for package in ("cem_rag_app", "stores", "graphs", "prompts", "ui")
    for path in (ROOT / package).rglob("*.py")
    if path.name != "__init__.py"
)


def test_importing_the_engine_reads_no_setting_and_loads_no_model() -> None:
    engine = [name for name in MODULES if name.startswith("cem_rag_app.")]
    code = (
        "import sys, importlib\n"
        f"[importlib.import_module(name) for name in {engine!r}]\n"
        f"print('HEAVY', [name for name in {MODELS!r} if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    assert run.stdout.strip().endswith("HEAVY []"), run.stdout[-300:]


@pytest.mark.parametrize("package", sorted(_layered_packages()))
def test_every_module_says_what_it_is(package: str) -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in (ROOT / package).rglob("*.py")
        if not path.read_text(encoding="utf-8").lstrip().startswith(('"""', 'r"""'))
    ]
    assert silent == []


DECOMPRESSION_IS_FOR = {
    "cem_rag_app/corpus.py",  # get_decompressed_chunk, the spec's frozen door
    "cem_rag_app/zpkg/repack.py",  # a new dictionary: training
    "scripts/measure_storage.py",  # measures the codec itself
    "stores/tail.py",  # the retrieval tail and the text baseline
}


def test_only_the_tail_training_and_the_text_baseline_import_decompression() -> None:
    importers = set()
    for package in sorted(_layered_packages()):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match node:
                    case ast.Import(names=names) if any(name.name == "cem_rag_app.zpkg.late" for name in names):
                        importers.add(str(path.relative_to(ROOT)))
                    case ast.ImportFrom(module="cem_rag_app.zpkg.late"):
                        importers.add(str(path.relative_to(ROOT)))
                    case ast.ImportFrom(module="cem_rag_app.zpkg", names=names) if any(n.name == "late" for n in names):
                        importers.add(str(path.relative_to(ROOT)))
    assert importers == DECOMPRESSION_IS_FOR
