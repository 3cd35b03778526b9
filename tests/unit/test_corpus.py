"""The frozen doors: build a corpus, reach its chunks by id or number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cem_rag_app.corpus import build_zpkg, get_compressed_chunk, get_decompressed_chunk
from cem_rag_app.errors import (
    ChunkIndexError,
    EmptyInputError,
    EncodingError,
    FrameError,
    LineTooLongError,
    MalformedLineError,
    PackFullError,
    ZpkgError,
)
from cem_rag_app.settings import PackSettings
from cem_rag_app.zpkg.dictionary import general_dictionary
from cem_rag_app.zpkg.late import read_text
from cem_rag_app.zpkg.reader import open_pack

ROWS = [
    {"_id": "d1", "title": "Wings", "text": "The lift of a wing in a slip stream."},
    {"_id": "d2", "title": "", "text": "Plain text without a title."},
    {"id": 3, "text": "火锅还是烧烤？"},
    {"corpus_id": "d4", "text": ""},
    {"doc_id": "五", "text": "Two\nlines.", "metadata": {"ignored": True}},
]
TEXTS = [
    "Wings\nThe lift of a wing in a slip stream.",
    "Plain text without a title.",
    "火锅还是烧烤？",
    "",
    "Two\nlines.",
]
IDS = ["d1", "d2", "3", "d4", "五"]


def write_corpus(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus.jsonl", ROWS)


def test_every_document_comes_back_by_id_and_by_number(corpus: Path, tmp_path: Path) -> None:
    manifest = build_zpkg(corpus, tmp_path / "out")
    (pack,) = manifest.packs
    assert pack.path == tmp_path / "out" / "000000.zpkg"
    assert (manifest.count, manifest.text_bytes) == (5, sum(len(text.encode()) for text in TEXTS))
    assert manifest.pack_bytes == pack.size == pack.path.stat().st_size
    for place in (pack.path, tmp_path / "out"):
        assert [get_decompressed_chunk(place, identifier) for identifier in IDS] == TEXTS
        assert [get_decompressed_chunk(place, number) for number in range(5)] == TEXTS
        assert [get_compressed_chunk(place, number) for number in range(5)] == [
            get_compressed_chunk(place, identifier) for identifier in IDS
        ]


def test_the_compressed_chunk_is_a_frame_of_the_pack(corpus: Path, tmp_path: Path) -> None:
    manifest = build_zpkg(corpus, tmp_path / "out")
    with open_pack(manifest.packs[0].path) as reader:
        assert get_compressed_chunk(manifest.packs[0].path, "3") == reader[2]
        assert read_text(reader[2], reader.dictionary) == "火锅还是烧烤？"


def test_ids_are_in_the_mapping_and_in_no_pack(tmp_path: Path) -> None:
    rows = [{"_id": f"identifier-{n:04d}", "text": f"Text number {n}."} for n in range(50)]
    manifest = build_zpkg(write_corpus(tmp_path / "c.jsonl", rows), tmp_path / "out")
    assert b"identifier" not in manifest.packs[0].path.read_bytes()
    places = json.loads(manifest.mapping.read_text(encoding="utf-8"))["places"]
    assert places["identifier-0049"][:2] == [0, 49]


def test_a_small_corpus_uses_the_shipped_dictionary_of_its_language(tmp_path: Path) -> None:
    for language, text in (("zh", "今天我们去吃火锅吧，OK？"), ("en", "Shall we have hotpot today?")):
        manifest = build_zpkg(write_corpus(tmp_path / "c.jsonl", [{"_id": "1", "text": text}]), tmp_path / language)
        assert manifest.dictionary_digest == general_dictionary(language).digest  # type: ignore[arg-type]


def test_a_large_corpus_trains_a_dictionary_of_its_own(tmp_path: Path) -> None:
    rows = [
        {"_id": str(n), "text": f"Measurement {n} of panel {n % 7} gave {n * n} counts in run {n % 13}."}
        for n in range(900)
    ]
    corpus = write_corpus(tmp_path / "c.jsonl", rows)
    small = PackSettings(own_dictionary_from=900, dictionary_size=4096)
    manifest = build_zpkg(corpus, tmp_path / "out", settings=small)
    assert manifest.dictionary_digest not in {general_dictionary("zh").digest, general_dictionary("en").digest}
    assert get_decompressed_chunk(tmp_path / "out", "899") == rows[899]["text"]
    assert manifest.pack_bytes < manifest.text_bytes
    later = build_zpkg(corpus, tmp_path / "later", settings=small.model_copy(update={"own_dictionary_from": 901}))
    assert later.dictionary_digest == general_dictionary("en").digest


def test_many_documents_that_say_nothing_are_packed_all_the_same(tmp_path: Path) -> None:
    rows = [{"_id": str(n), "text": ""} for n in range(50)]
    corpus = write_corpus(tmp_path / "c.jsonl", rows)
    manifest = build_zpkg(corpus, tmp_path / "out", settings=PackSettings(own_dictionary_from=10))
    assert manifest.dictionary_digest == general_dictionary("en").digest
    assert get_decompressed_chunk(tmp_path / "out", "49") == ""


def test_a_corpus_too_large_for_a_pack_goes_on_in_the_next(tmp_path: Path) -> None:
    rows = [{"_id": f"d{n}", "text": f"{n} " + "unlike " * (n % 5)} for n in range(100)]
    limit = len(general_dictionary("en").data) + 800
    manifest = build_zpkg(write_corpus(tmp_path / "c.jsonl", rows), tmp_path / "out", largest_pack=limit)
    assert [pack.path.name for pack in manifest.packs[:2]] == ["000000.zpkg", "000001.zpkg"]
    assert all(pack.size <= limit for pack in manifest.packs)
    assert sum(pack.count for pack in manifest.packs) == 100
    assert [get_decompressed_chunk(tmp_path / "out", f"d{n}") for n in range(100)] == [row["text"] for row in rows]
    assert [get_decompressed_chunk(tmp_path / "out", n) for n in range(100)] == [row["text"] for row in rows]


def test_one_document_too_large_for_any_pack_is_named_and_leaves_no_mapping(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(PackFullError):
        build_zpkg(corpus, tmp_path / "out", largest_pack=len(general_dictionary("en").data) + 40)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("key", ["d9", "", 5, -1])
def test_an_unknown_id_or_number_is_named(corpus: Path, tmp_path: Path, key: str | int) -> None:
    manifest = build_zpkg(corpus, tmp_path / "out")
    for place in (manifest.packs[0].path, tmp_path / "out"):
        with pytest.raises(ChunkIndexError):
            get_compressed_chunk(place, key)


def test_a_rebuilt_corpus_is_read_anew(corpus: Path, tmp_path: Path) -> None:
    build_zpkg(corpus, tmp_path / "out")
    assert get_decompressed_chunk(tmp_path / "out", "d2") == TEXTS[1]
    write_corpus(corpus, [{"_id": "d2", "text": "Something else."}])
    build_zpkg(corpus, tmp_path / "out")
    assert get_decompressed_chunk(tmp_path / "out", "d2") == "Something else."


def test_a_damaged_frame_is_never_read_as_text(corpus: Path, tmp_path: Path) -> None:
    manifest = build_zpkg(corpus, tmp_path / "out")
    path = manifest.packs[0].path
    data = bytearray(path.read_bytes())
    with open_pack(path) as reader:
        start, end = reader.header.frames_start, reader.header.frames_start + len(reader[0])
    for position in range(start, end):
        data[position] ^= 0x10
        path.write_bytes(data)
        try:
            assert get_decompressed_chunk(path, "d1") == TEXTS[0]
        except ZpkgError as error:
            assert isinstance(error, FrameError)
        data[position] ^= 0x10


def test_a_missing_or_damaged_mapping_is_named(corpus: Path, tmp_path: Path) -> None:
    manifest = build_zpkg(corpus, tmp_path / "out")
    for content in ("", "[]", "{}", '{"version": 99, "packs": [], "places": {}}'):
        manifest.mapping.write_text(content, encoding="utf-8")
        with pytest.raises(ZpkgError, match="Build the corpus again"):
            get_compressed_chunk(tmp_path / "out", "d1")
    manifest.mapping.unlink()
    with pytest.raises(ZpkgError, match="missing"):
        get_compressed_chunk(tmp_path / "out", "d1")


@pytest.mark.parametrize(
    ("line", "error", "says"),
    [
        (b'{"_id": "x", "text": "cut', MalformedLineError, "not JSON"),
        (b'["_id", "text"]', MalformedLineError, "not a JSON object"),
        (b'{"text": "no id"}', MalformedLineError, "no id"),
        (b'{"_id": "x"}', MalformedLineError, "no text"),
        (b'{"_id": "x", "text": 7}', MalformedLineError, "no text"),
        (b'{"_id": "d1", "text": "again"}', MalformedLineError, "appears twice"),
        ('{"_id": "x", "text": "火锅"}'.encode("gb18030"), EncodingError, "not UTF-8"),
        (b'{"_id": "x", "text": "\\ud83d"}', EncodingError, "half a character"),
        (b'{"_id": "x", "text": "' + b"a" * 2000 + b'"}', LineTooLongError, "1024"),
        (b'{"_id": "x", "text": "' + b"a" * (17 << 20) + b'"}', LineTooLongError, "line exceeds"),
        (b"[" * 100_000, MalformedLineError, "not JSON"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None if isinstance(value, bytes) else value,
)
def test_a_bad_line_is_named_with_its_file_and_number(
    tmp_path: Path, line: bytes, error: type[Exception], says: str
) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"_id": "d1", "text": "good"}\n\n' + line + b"\n")
    with pytest.raises(error, match=rf"corpus\.jsonl:3: .*{says}"):
        build_zpkg(path, tmp_path / "out", settings=PackSettings(chunk_limit=1024))


@pytest.mark.parametrize("content", [b"", b"\n\n  \n"])
def test_an_empty_corpus_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_bytes(content)
    with pytest.raises(EmptyInputError, match=r"corpus\.jsonl"):
        build_zpkg(path, tmp_path / "out")


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=80), min_size=1, max_size=15))
@settings(max_examples=30)
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("any")
    rows = [{"_id": f"{n}", "text": text} for n, text in enumerate(texts)]
    build_zpkg(write_corpus(folder / "c.jsonl", rows), folder / "out")
    assert [get_decompressed_chunk(folder / "out", str(n)) for n in range(len(texts))] == texts
