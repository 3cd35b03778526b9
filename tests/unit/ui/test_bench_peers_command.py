"""`bench search` and `bench storage --peers` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ui.cli import main

WORDS = [
    "plasma",
    "orbit",
    "lattice",
    "spin",
    "quark",
    "mirror",
    "vacuum",
    "field",
    "photon",
    "crystal",
    "galaxy",
    "neutron",
]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    lines = [
        {"_id": f"paper-{n}", "text": f"We study the {a} of a {b} number {n}. The {b} depends on its {a} in all cases."}
        for n, (a, b) in enumerate((a, b) for a in WORDS for b in WORDS if a != b)
    ]
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    queries = [{"_id": f"q-{n}", "text": f"the {word} of a crystal"} for n, word in enumerate(WORDS)]
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)), encoding="utf-8")
    return tmp_path / "corpus.jsonl"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["search", "--corpus", "CORPUS", "--peers", "oracle"], "qdrant-edge"),
        (["search", "--corpus", "CORPUS", "--queries", "nowhere.jsonl"], "nowhere.jsonl"),
        (["storage", "--peers", "chroma"], "--corpus"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(corpus, tmp_path, arguments, complaint):
    given = [str(corpus) if argument == "CORPUS" else argument for argument in arguments]
    answer = CliRunner().invoke(main, ["bench", *given, "--workspace", str(tmp_path / "work")])
    assert answer.exit_code != 0
    assert complaint in answer.stderr


def test_a_workspace_made_from_something_else_is_refused(corpus, tmp_path):
    workload = tmp_path / "work" / "workload"
    workload.mkdir(parents=True)
    (workload / "exact.npy").touch()
    made = {
        "--corpus": str(corpus), "-n": 120, "--queries": str(corpus.with_name("queries.jsonl")), "--query-count": 6,
    }  # fmt: skip
    (tmp_path / "work" / "load.json").write_text(json.dumps(made))
    command = ["bench", "search", "--corpus", str(corpus), "--workspace", str(tmp_path / "work")]
    answer = CliRunner().invoke(main, [*command, "-n", "60", "--query-count", "6"])
    assert answer.exit_code != 0
    assert "its load was made with -n 120, not 60." in " ".join(answer.stderr.split())
    assert "--query-count" not in answer.stderr


@pytest.mark.slow
def test_our_own_row_is_measured_from_corpus_to_report_and_kept(corpus, tmp_path):
    command = ["bench", "search", "--corpus", str(corpus), "-n", "120", "--query-count", "6", "--rounds", "1"]
    answer = CliRunner().invoke(main, [*command, "--workspace", str(tmp_path / "work"), "--json"])
    assert answer.exit_code == 0, answer.output
    report = json.loads(answer.stdout)
    ours = report["metrics"]["cem-rag"]
    kept = {"p50_ms", "p95_ms", "recall@10", "filtered_1pct_p50_ms", "filtered_1pct_recall@10", "open_ms", "rss_mb"}
    assert kept <= set(ours)
    assert ours["recall@10"] > 0.9
    assert ours["filtered_1pct_recall@10"] > 0.9
    assert report["settings"]["chunks"] == 120
    again = CliRunner().invoke(
        main,
        ["bench", "storage", "--corpus", str(corpus), "--peers", "chroma", "--peers-python", "/bin/false",
         "--workspace", str(tmp_path / "work"), "-n", "120", "--query-count", "6"],
    )  # fmt: skip
    assert again.exit_code == 0, again.output
    assert "making the load" not in again.stderr
    assert "chroma failed at builds" in again.stdout
