"""The corpus is rebuilt from local clones, the same each time, and from nothing that is not there."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest

from scripts.collect_corpus import collect, main
from scripts.corpus_git import find_clone
from scripts.corpus_pieces import conversation, prose

PARAGRAPH = (
    "The boundary layer grows along the plate because the wall slows the fluid next to it. "
    "Further downstream the slow layer is thicker, and small disturbances in it begin to grow. "
)


def commit(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@t"]
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "text"], check=True)


@pytest.fixture
def clones(tmp_path: Path) -> Path:
    module = f"<document><title>Flow</title><content><para id='a'>{PARAGRAPH * 4}</para></content></document>"
    commit(tmp_path / "openstax" / "osbooks-physics", {"modules/m1/index.cnxml": module})
    talk = ["我这次考试没有考好，心里很难受。", "听起来你很失落，能说说是哪一门吗？", "是数学，我复习了很久。"] * 3
    smile = json.dumps([{"role": "client", "content": turn} for turn in talk], ensure_ascii=False)
    commit(tmp_path / "qiuhuachuan+smile", {f"data/{n}.json": smile.replace("数学", "物理" * n) for n in range(1, 9)})
    return tmp_path


def test_passages_pairs_and_their_sources_are_written(clones: Path, tmp_path: Path) -> None:
    collect("en", clones, tmp_path / "out")
    passages = (tmp_path / "out" / "passages.txt").read_text(encoding="utf-8").splitlines()
    assert passages and len(set(passages)) == len(passages)
    assert all(passage in PARAGRAPH * 4 and len(passage) >= 120 for passage in passages)
    assert (tmp_path / "out" / "pairs.tsv").read_text(encoding="utf-8").startswith("title\tFlow\tThe boundary layer")
    (source,) = json.loads((tmp_path / "out" / "sources.json").read_text(encoding="utf-8"))
    assert source == {
        "repository": "openstax/osbooks-physics",
        "licence": "CC BY 4.0",
        "passages": len(passages),
        "pairs": 1,
    }


def test_the_same_clones_give_the_same_files(clones: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert main(["--clones", str(clones), "--out", str(tmp_path / name), "--language", "zh"]) == 0
    for name in ("passages.txt", "pairs.tsv", "sources.json"):
        assert (tmp_path / "one" / "zh" / name).read_bytes() == (tmp_path / "two" / "zh" / name).read_bytes()
    assert (tmp_path / "one" / "zh" / "pairs.tsv").stat().st_size > 0


def test_a_repository_without_a_clone_is_named_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    collect("zh", tmp_path, tmp_path / "out")
    assert "qiuhuachuan/smile: no clone" in capsys.readouterr().out
    assert (tmp_path / "out" / "passages.txt").read_text(encoding="utf-8") == ""


def test_a_clone_is_found_in_either_layout(clones: Path) -> None:
    assert find_clone("openstax/osbooks-physics", clones) is not None
    assert find_clone("qiuhuachuan/smile", clones) is not None
    assert find_clone("no/body", clones) is None


def test_prose_is_cut_at_sentence_ends_and_neighbours_are_paired() -> None:
    text = "今天我们去了海边，风很大，浪也很高，大家都玩得很开心。" * 20
    records = list(prose(text, "海边"))
    passages = [left for kind, left, _ in records if kind == "passage"]
    assert "".join(passages) == text
    assert all(passage.endswith("。") for passage in passages)
    assert [right for kind, _, right in records if kind == "neighbour"] == passages[1:]
    assert ("title", "海边", passages[0]) in records


def test_a_stretch_of_talk_is_paired_with_a_sentence_said_elsewhere() -> None:
    turns = [f"第{number}天我们一起去看了一场很好看的电影。" for number in "一二三四五六七八九"]
    pairs = [
        (left, right) for kind, left, right in conversation(turns, random.Random(3), share=0) if kind == "dialogue"
    ]
    assert pairs
    assert all(right in turns and right not in left for left, right in pairs)
