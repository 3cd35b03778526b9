"""A history file becomes messages, whole or not at all."""

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cem_rag_app.errors import ColumnError, EmptyInputError, InputError, LineTooLongError, MalformedLineError
from cem_rag_app.persona.history import FORMATS, Columns, HistoryReport, read_history
from cem_rag_app.persona.history.lines import LINE_LIMIT
from cem_rag_app.persona.history.reader import SYNTHETIC_START


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def jsonl(path: Path, *rows) -> Path:
    return written(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def row(speaker, text, time, **more):
    return {"speaker": speaker, "text": text, "time": time, **more}


def read(path, persona="夏", format="chat-jsonl", **columns):
    report = HistoryReport()
    messages = list(read_history(path, format=format, persona=persona, columns=Columns(**columns), report=report))
    return messages, report


def texts(messages):
    return [message.text for message in messages]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "chat"


def test_the_person_is_the_assistant_and_everybody_else_the_user(file):
    messages, report = read(jsonl(file, row("宁", "早", 1000), row("夏", "早呀", 1010), row("周", "我也早", 1020)))
    assert [(m.role, m.speaker, m.text, m.timestamp) for m in messages] == [
        ("user", "宁", "早", 1000.0),
        ("assistant", "夏", "早呀", 1010.0),
        ("user", "周", "我也早", 1020.0),
    ]
    assert {m.conversation for m in messages} == {"default"}
    assert {m.source for m in messages} == {"chat"}
    assert (report.taken, report.persona_messages, report.conversations) == (3, 1, 1)


def test_conversations_without_the_person_are_left_out_and_counted(file):
    rows = [row("宁", "a", 1, chat="x"), row("周", "b", 2, chat="x"), row("夏", "c", 3, chat="y")]
    messages, report = read(jsonl(file, *rows))
    assert texts(messages) == ["c"]
    assert report.skipped == {"in a conversation without 夏": 2}


def test_rows_without_text_or_speaker_are_left_out_and_counted(file):
    rows = [row("夏", "在", 1), row("夏", " ", 2), row("夏", None, 3), {"speaker": "夏", "time": 4}, row("", "x", 5)]
    messages, report = read(jsonl(file, *rows))
    assert texts(messages) == ["在"]
    assert report.skipped == {"no text": 3, "no speaker": 1}


def test_the_csv_of_a_corpus_needs_no_time_column(file):
    lines = [
        "\ufeffTV_ID,Dialogue_ID,Utterance_ID,Speaker,Utterance",
        "1,d1,d1_0,甲,好了没事了",
        '1,d1,d1_1,乙,"他说""行"""',
        "1,d2,d2_0,乙,下一场",
    ]
    columns = {"speaker": "Speaker", "text": "Utterance", "conversation": "Dialogue_ID"}
    messages, report = read(written(file, "\r\n".join(lines)), "乙", "chat-csv", **columns)
    assert texts(messages) == ["好了没事了", '他说"行"', "下一场"]
    assert [m.timestamp - SYNTHETIC_START for m in messages] == [0.0, 60.0, 60.0 + 86_400.0]
    assert [m.conversation for m in messages] == ["d1", "d1", "d2"]
    assert report.synthetic_times


def test_columns_are_guessed_in_english_and_chinese(file):
    header = "发送时间,发送人,内容\n2024/3/5 21:04,夏,在\n"
    messages, _ = read(written(file, header), format="chat-csv")
    assert [(m.text, m.timestamp) for m in messages] == [("在", 1709643840.0)]
    messages, _ = read(written(file, "date;sender;message\n2024-03-05 21:04:33;夏;在, 吗\n"), format="chat-csv")
    assert [(m.text, m.timestamp) for m in messages] == [("在, 吗", 1709643873.0)]


def test_a_column_that_is_not_there_is_named_with_those_that_are(file):
    with pytest.raises(ColumnError, match=r"no column 'Sprecher' for the speaker. The file has: who, what\. Name one"):
        read(written(file, "who,what\na,b\n"), format="chat-csv", speaker="Sprecher")
    with pytest.raises(ColumnError, match=r"no column looks like the text. The file has: who, gesagt"):
        read(jsonl(file, {"who": "夏", "gesagt": "x"}))
    with pytest.raises(ColumnError, match="twice"):
        read(written(file, "who,text,text\na,b,c\n"), format="chat-csv")


def test_a_line_end_inside_quotes_belongs_to_the_message_and_lines_are_still_counted_right(file):
    path = written(file, 'speaker,text,time\r\n夏,"一\r\n二",1000\r\n夏,三,bad\r\n')
    with pytest.raises(MalformedLineError, match="chat:4: column 'time': 'bad' is no time"):
        read(path, format="chat-csv")
    messages, _ = read(written(file, 'speaker,text,time\r\n夏,"一\r\n二",1000\r\n'), format="chat-csv")
    assert texts(messages) == ["一\n二"]


def test_a_quote_that_is_never_closed_is_named_where_it_opens(file):
    with pytest.raises(MalformedLineError, match="chat:3: the record is no CSV"):
        read(written(file, 'speaker,text\n夏,好\n夏,"没完\n夏,没了\n'), format="chat-csv")
    with pytest.raises(LineTooLongError, match="chat:3: a value is longer than 131,072"):
        read(written(file, 'speaker,text\n夏,好\n夏,"' + "没完\n" * 60_000), format="chat-csv")


def test_a_record_with_too_many_values_is_named(file):
    with pytest.raises(MalformedLineError, match="chat:2: the record has 3 values, the header 2 columns"):
        read(written(file, "speaker,text\n夏,好,的\n"), format="chat-csv")


def test_broken_json_on_line_7013_is_named_and_no_message_is_given_before(file):
    lines = [json.dumps(row("夏", f"第{i}句", i)) for i in range(1, 8001)]
    lines[7012] = '{"speaker": "夏", "text": '
    path = written(file, "\n".join(lines))
    with pytest.raises(MalformedLineError, match=r"chat:7013: the line is no JSON") as caught:
        read_history(path, format="chat-jsonl", persona="夏")  # not even asked for a message
    assert caught.value.line == 7013
    assert "nothing has been imported" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "what"), [("[1]", "JSON list"), ("3", "JSON int"), ("[" * 100_000, "nested too deep")]
)
def test_a_line_that_is_no_object_is_named(file, line, what):
    with pytest.raises(MalformedLineError, match=what):
        read(written(file, '{"speaker": "夏", "text": "x"}\n' + line + "\n"))


def test_a_line_of_100_mb_is_refused_without_being_read(tmp_path):
    path = tmp_path / "chat"
    with path.open("wb") as sparse:
        sparse.write(b'{"speaker": "x", "text": "')
        sparse.truncate(100_000_000)
    tracemalloc.start()
    with pytest.raises(LineTooLongError, match=r"chat:1: the line is longer than 1,048,576 bytes"):
        read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_line_at_the_limit_is_taken(file):
    line = json.dumps({"speaker": "夏", "text": ""})
    line = line[:-2] + "x" * (LINE_LIMIT - len(line.encode()) - 1) + '"}\n'
    assert len(line.encode()) == LINE_LIMIT
    assert len(read(written(file, line))[0]) == 1
    with pytest.raises(LineTooLongError):
        read(written(file, "  " + line))


def test_nothing_in_it_is_named(file):
    for content in ("", "\n\n"):
        with pytest.raises(EmptyInputError):
            read(written(file, content))
    with pytest.raises(EmptyInputError):
        read(written(file, "speaker,text\n"), format="chat-csv")
    with pytest.raises(EmptyInputError, match=r"'夏' says nothing in it. Who speaks: 宁 \(2\), 周 \(1\)"):
        read(jsonl(file, row("宁", "a", 1), row("周", "b", 2), row("宁", "c", 3)))


def test_a_file_that_is_not_there_and_a_format_that_is_not_known_are_named(file):
    with pytest.raises(InputError, match="no such file"):
        read(file)
    with pytest.raises(InputError, match="unknown history format 'wechat'"):
        read(jsonl(file, row("夏", "x", 1)), format="wechat")
    assert FORMATS == ("chat-jsonl", "chat-csv")


def test_messages_out_of_order_are_sorted_conversation_by_conversation(file):
    rows = [
        row("夏", "b2", 40, chat="b"),
        row("宁", "a1", 10, chat="a"),
        row("宁", "b1", 30, chat="b"),
        row("夏", "a2", 50, chat="a"),
    ]
    messages, report = read(jsonl(file, *rows))
    assert texts(messages) == ["a1", "a2", "b1", "b2"]
    assert report.reordered


def test_equal_times_keep_the_order_of_the_file(file):
    messages, report = read(jsonl(file, row("宁", "先", 10), row("夏", "后", 10), row("夏", "再", 10)))
    assert texts(messages) == ["先", "后", "再"]
    assert not report.reordered


def test_a_longer_export_gives_the_old_messages_their_old_ids(file):
    rows = [row("宁", "在吗", 10), row("夏", "哈哈", 20), row("夏", "哈哈", 20)]
    before, _ = read(jsonl(file, *rows))
    after, _ = read(jsonl(file, *rows, row("夏", "哈哈", 20), row("宁", "晚安", 30)))
    ids = [m.source_id for m in after]
    assert ids[:3] == [m.source_id for m in before]
    assert len(set(ids)) == 5
    assert all(len(i) == 32 for i in ids)


def test_without_times_equal_lines_are_told_apart_by_their_order(file):
    rows = [{"speaker": "夏", "text": "嗯"}, {"speaker": "宁", "text": "嗯"}, {"speaker": "夏", "text": "嗯"}]
    before, _ = read(jsonl(file, *rows))
    after, _ = read(jsonl(file, *rows, {"speaker": "夏", "text": "嗯"}))
    assert [m.source_id for m in after][:3] == [m.source_id for m in before]
    assert len({m.source_id for m in after}) == 4


def test_control_characters_and_halves_of_emoji_are_mended_and_counted(file):
    path = written(
        file,
        '{"speaker":"夏","text":"a\\u0000b\\ud83dc","time":1}\n{"speaker":"夏","text":"\\ud83d\\ude00","time":2}\n',
    )
    messages, report = read(path)
    assert texts(messages) == ["ab\ufffdc", "😀"]
    assert report.repaired["control characters"] == 1
    assert all(message.text.encode() for message in messages)


def test_runs_of_formatted_text_are_joined(file):
    messages, _ = read(jsonl(file, row("夏", ["看", {"type": "link", "text": "a.b"}, "呀"], 1)))
    assert texts(messages) == ["看a.b呀"]
    with pytest.raises(MalformedLineError, match="JSON object"):
        read(jsonl(file, row("夏", {"t": "x"}, 1)))


def test_a_missing_time_in_a_file_with_times_is_named(file):
    with pytest.raises(MalformedLineError, match="chat:2: column 'time': None is no time"):
        read(jsonl(file, row("夏", "a", 1), row("夏", "b", None)))


def test_a_file_that_changes_while_it_is_read_is_refused(file):
    messages = read_history(jsonl(file, row("夏", "a", 1)), format="chat-jsonl", persona="夏")
    jsonl(file, row("夏", "a", 1), row("夏", "b", 2))
    with pytest.raises(InputError, match="changed while it was read"):
        list(messages)


cell = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=12).filter(str.strip)


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from("夏宁周"), cell, st.integers(0, 50), st.sampled_from("xy")), min_size=1, max_size=15
    )
)
def test_every_row_is_either_taken_or_counted_as_skipped(tmp_path_factory, rows):
    path = jsonl(tmp_path_factory.mktemp("h") / "chat", *(row(s, t, at, chat=c) for s, t, at, c in rows))
    if all(speaker != "夏" for speaker, *_ in rows):
        with pytest.raises(EmptyInputError):
            read(path)
        return
    messages, report = read(path)
    assert len(messages) == report.taken
    assert report.taken + report.skipped.total() == len(rows)
    assert sorted((m.conversation, m.timestamp) for m in messages if m.conversation == "x") == [
        (m.conversation, m.timestamp) for m in messages if m.conversation == "x"
    ]
