"""Every encoding a Chinese export comes in is read, per line where it must be, or named."""

import pytest

from cem_rag_app.errors import EncodingError, MalformedLineError
from cem_rag_app.persona.history import HistoryReport, read_history

TEXT = "speaker,text\n夏,晚安宝贝 😀\n宁,明天见\n"


def read(path, persona="夏"):
    report = HistoryReport()
    return [m.text for m in read_history(path, format="chat-csv", persona=persona, report=report)], report.encodings


@pytest.mark.parametrize(
    ("encoding", "counted"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("gb18030", "gb18030"), ("utf-16", "utf-16"), ("utf-16-be", "utf-16")],
)
def test_a_file_in_one_encoding_is_read(tmp_path, encoding, counted):
    path = tmp_path / "chat.csv"
    path.write_bytes((("\ufeff" if encoding == "utf-16-be" else "") + TEXT).encode(encoding))
    texts, encodings = read(path)
    assert texts == ["晚安宝贝 😀", "明天见"]
    assert encodings[counted] >= 2


def test_a_file_glued_together_from_two_encodings_is_read_line_by_line(tmp_path):
    path = tmp_path / "chat.csv"
    path.write_bytes("speaker,text\n夏,晚安宝贝\n".encode() + "宁,明天见\n".encode("gb18030") + "夏,好呀\n".encode())
    texts, encodings = read(path)
    assert texts == ["晚安宝贝", "明天见", "好呀"]
    assert encodings == {"utf-8": 3, "gb18030": 1}


EITHER = "没什么"
assert EITHER.encode("gb18030").decode("utf-8"), "bytes that are text in both encodings"


@pytest.mark.parametrize("where", [0, 1, 2])
def test_a_line_that_could_be_either_is_read_like_its_neighbours(tmp_path, where):
    lines = ["x,我到家了", "夏,晚安宝贝"]
    lines.insert(where, f"y,{EITHER}")
    path = tmp_path / "chat.csv"
    path.write_bytes(("speaker,text\n" + "\n".join(lines)).encode("gb18030"))
    texts, _ = read(path, "x")
    assert texts == [line.split(",")[1] for line in lines]


def test_a_latin_name_in_utf_8_stays_one(tmp_path):
    path = tmp_path / "chat.csv"
    path.write_bytes("speaker,text\n夏,晚安\n夏,José\n".encode())
    assert read(path)[0] == ["晚安", "José"]


def test_bytes_in_no_encoding_are_named_with_their_line(tmp_path):
    path = tmp_path / "chat.csv"
    path.write_bytes("speaker,text\n夏,好\n".encode() + b"\xe5\xae\x81,caf\xe9 \xff\n")
    with pytest.raises(
        EncodingError, match=r"chat.csv:3: the line is neither UTF-8 nor GB18030 .*Save the file as UTF-8"
    ):
        read(path)


def test_another_alphabets_encoding_is_not_taken_for_chinese(tmp_path):
    path = tmp_path / "chat.csv"
    path.write_bytes("speaker,text\nx,привет как дела сегодня\n".encode("koi8-r"))
    with pytest.raises(EncodingError):
        read(path)


def test_utf_32_and_torn_utf_16_are_named(tmp_path):
    path = tmp_path / "chat.csv"
    path.write_bytes(TEXT.encode("utf-32"))
    with pytest.raises(EncodingError, match="UTF-32"):
        read(path)
    path.write_bytes(TEXT.encode("utf-16")[:-3] + b"\xd8")
    with pytest.raises(EncodingError, match="not UTF-16"):
        read(path)


def test_a_nul_byte_is_named(tmp_path):
    path = tmp_path / "chat.csv"
    path.write_bytes("speaker,text\n夏,好\n夏,\0\n".encode())
    with pytest.raises(MalformedLineError, match=r"chat.csv:3: the line holds a NUL byte"):
        read(path)
