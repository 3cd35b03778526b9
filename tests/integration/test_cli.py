"""The command line as a person uses it: processes of their own, from a file to an answer."""

from __future__ import annotations

import json

import pytest

from scripts.processes import cem_rag
from tests.serving import build_memory, write_history

DOCUMENTS = (
    ("d1", "Lubrication", "The dome bearings are lubricated twice a year, in March and in September."),
    ("d2", "Mirrors", "The main mirror is washed with distilled water every second summer."),
    ("d3", "Heating", "The control room is heated to nineteen degrees in winter."),
)


@pytest.fixture(scope="module")
def chat_memory(tmp_path_factory):
    return build_memory(tmp_path_factory.mktemp("chat"))


@pytest.fixture(scope="module")
def document_memory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("documents")
    rows = ({"_id": name, "title": title, "text": text} for name, title, text in DOCUMENTS)
    corpus = folder / "corpus.jsonl"
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for arguments in (("import", folder, "--as", "beir"), ("build",)):
        done = cem_rag(*arguments, "--memory", folder / "memory")
        assert done.returncode == 0, done.stderr
    return folder / "memory"


def report(*arguments, code=0):
    done = cem_rag(*arguments, "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_status_counts_what_was_imported_and_says_that_the_index_is_current(chat_memory):
    status = report("status", "--memory", chat_memory)
    assert status["counts"]["messages"] == 18
    assert status["persona"] == "小满"
    assert status["encoder"] == "embedded-zh"
    assert status["index"]["missing_chunks"] == 0


def test_preview_finds_a_remembered_fact_with_its_lines(chat_memory):
    hits = report("preview", "那只猫叫什么名字", "-k", "2", "--memory", chat_memory)["hits"]
    assert len(hits) == 2
    assert "叫年糕呀" in [line["text"] for line in hits[0]["lines"]]
    assert hits[0]["retrieval_score"] >= hits[1]["retrieval_score"]


def test_an_empty_text_recalls_nothing_and_is_told_so(chat_memory):
    done = cem_rag("preview", "  ", "--memory", chat_memory)
    assert (done.returncode, done.stderr) == (1, "cem-rag: The text is empty. Say what to recall for.\n")


def test_check_reads_everything_and_finds_nothing_damaged(chat_memory):
    checked = report("check", "--memory", chat_memory)
    assert checked["ok"] is True
    assert checked["chunks"] == report("status", "--memory", chat_memory)["counts"]["chunks"]


def test_check_names_a_damaged_file_and_ends_with_1(tmp_path):
    memory = build_memory(tmp_path)
    cem_rag("compact", "--memory", memory)
    (pack,) = (memory / "packs").glob("*.zpkg")
    content = bytearray(pack.read_bytes())
    content[-3] ^= 0xFF
    pack.write_bytes(content)
    found = report("check", "--memory", memory, code=1)
    assert found["ok"] is False
    assert any(str(pack) == finding["file"] for finding in found["findings"])


def test_bench_storage_reports_every_part_in_the_kept_envelope(chat_memory):
    bench = report("bench", "storage", "--memory", chat_memory)
    assert set(bench) == {"metrics", "settings", "versions", "machine"}
    sizes = bench["metrics"]["bytes"]
    assert set(sizes) == {"plain_text", "packs", "index", "catalog", "lexical", "total"}
    assert sizes["total"] == sizes["packs"] + sizes["index"] + sizes["catalog"] + sizes["lexical"]
    assert bench["metrics"]["ratio"] == round(sizes["total"] / sizes["plain_text"], 4)


def test_importing_the_same_file_twice_adds_nothing(chat_memory):
    again = report("import", chat_memory.parent / "chat.jsonl", "--as", "chat-jsonl", "--memory", chat_memory)
    assert (again["added"], again["duplicates"]) == (0, 18)


def test_a_chat_in_the_terminal_answers_each_line_and_remembers_it(tmp_path):
    memory = build_memory(tmp_path)
    done = cem_rag("chat", "--memory", memory, said="晚上吃什么\n/why\n/good\n/quit\n")
    assert done.returncode == 0, done.stderr
    assert "不是小满本人" in done.stdout
    assert "离线声音" in done.stdout
    replies = [line for line in done.stdout.splitlines() if line.startswith("小满: ")]
    assert 1 <= len(replies) <= 4
    assert "已标记" in done.stdout
    status = report("status", "--memory", memory)
    assert status["counts"]["messages"] == 18 + 1 + len(replies)


def test_ask_answers_from_the_documents_and_cites_the_chunk(document_memory):
    answer = report("ask", "How often are the dome bearings lubricated?", "--memory", document_memory)
    assert "twice a year" in answer["answer"]
    assert answer["offline"] is True
    assert any(c["item_id"].startswith("d1") and "twice a year" in c["text"] for c in answer["citations"])


def test_ask_prints_every_chunk_that_it_opened(document_memory):
    question = ("ask", "How often are the dome bearings lubricated?", "--memory", document_memory)
    printed = " ".join(cem_rag(*question).stdout.split())
    answer = report(*question)
    opened = answer["opened"]
    assert len(opened) > len(answer["citations"])
    assert all(" ".join(chunk["text"].split()) in printed for chunk in opened)


def test_a_chat_without_a_named_person_lists_who_speaks(tmp_path):
    done = cem_rag("import", write_history(tmp_path / "c.jsonl"), "--as", "chat-jsonl", "--memory", tmp_path / "m")
    assert done.returncode == 1
    assert "小满 (11), 阿宁 (7). Name one with --persona." in done.stderr
    assert not (tmp_path / "m").exists()


def test_a_broken_file_is_named_with_its_line_and_leaves_no_memory_behind(tmp_path):
    broken = tmp_path / "c.jsonl"
    write_history(broken)
    lines = broken.read_text(encoding="utf-8").splitlines()
    broken.write_text("\n".join([*lines[:6], '{"speaker": "小满", ', *lines[6:]]), encoding="utf-8")
    done = cem_rag("import", broken, "--as", "chat-jsonl", "--persona", "小满", "--memory", tmp_path / "m")
    assert done.returncode == 1
    assert f"{broken}:7: the line is no JSON" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("command", [("status",), ("build",), ("preview", "x"), ("ask", "x"), ("chat",), ("check",)])
def test_a_command_without_a_memory_says_how_to_make_one(tmp_path, command):
    done = cem_rag(*command, "--memory", tmp_path / "nothing")
    assert done.returncode == 1
    assert "cem-rag import" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_another_persons_history_is_refused(chat_memory, tmp_path):
    other = write_history(tmp_path / "c.jsonl", (("阿宁", "在吗"), ("老王", "在")))
    done = cem_rag("import", other, "--as", "chat-jsonl", "--persona", "老王", "--memory", chat_memory)
    assert done.returncode == 1
    assert "speaks as '小满', not '老王'" in done.stderr


def test_documents_are_refused_by_a_memory_of_a_chat(chat_memory, tmp_path):
    (tmp_path / "corpus.jsonl").write_text('{"_id": "1", "text": "hello"}\n')
    done = cem_rag("import", tmp_path, "--as", "beir", "--memory", chat_memory)
    assert done.returncode == 1
    assert "holds chat, not documents" in done.stderr


def test_building_for_another_encoder_is_refused(chat_memory):
    done = cem_rag("build", "--encoder", "minilm-en", "--memory", chat_memory)
    assert done.returncode == 1
    assert "was made for the encoder 'embedded-zh', not 'minilm-en'" in done.stderr


def test_gemini_without_a_key_is_told_in_one_line(chat_memory):
    done = cem_rag("chat", "--model", "gemini", "--memory", chat_memory, said="在吗\n")
    assert done.returncode == 1
    assert "CEM_RAG_GOOGLE_API_KEY" in done.stderr
    assert "Traceback" not in done.stderr
