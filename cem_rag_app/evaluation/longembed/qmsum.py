"""QMSum: meetings, and what was asked and answered about them (Zhong et al., 2021; the data is MIT-licensed).

LongEmbed asks with the reference *summaries*, not with the questions, over the 197 meetings of SCROLLS' training and
validation parts. Here are the 70 meetings of QMSum's own validation and test parts, whose answers the public repository
has; they are cleaned of transcription marks. So the task is the same in kind, smaller, and not the same data.
"""

from __future__ import annotations

import re
from pathlib import Path

from cem_rag_app.errors import InputError, MalformedLineError
from cem_rag_app.evaluation.collections import Collection, json_lines

PARTS = ("val", "test")

_MARK = re.compile(r"\{\w+\}|<\w+>")
_SPACE = re.compile(r"\s+")
_BEFORE = re.compile(r" (?=[.,?!;:])")


def load_qmsum(folder: Path, *, ask: str = "answer") -> Collection:
    """Read ``val.jsonl`` and ``test.jsonl``.

    Args:
        folder: the folder of the two files.
        ask: ``answer``: every query's reference summary asks for its meeting, as LongEmbed has it; ``query``: every
            specific question does. (A general one, "Summarize the whole meeting.", names no meeting.)

    Returns:
        A collection of 70 documents; questions in the same words are one query with several relevant documents.

    Raises:
        InputError: a file is missing or a line in it cannot be read; names both.
    """
    corpus: dict[str, str] = {}
    relevant: dict[str, dict[str, int]] = {}
    for part in PARTS:
        file = folder / f"{part}.jsonl"
        if not file.is_file():
            raise InputError("There is no such file.", file=file, remedy="Say where QMSum lies: --data DIR.")
        for number, record in json_lines(file):
            meeting = f"{part}-{number:02}"
            try:
                turns = [f"{turn['speaker']}: {_clean(turn['content'])}" for turn in record["meeting_transcripts"]]
                lists = ("specific_query_list", "general_query_list") if ask == "answer" else ("specific_query_list",)
                asked = [_clean(query[ask]) for name in lists for query in record[name]]
            except (KeyError, TypeError) as error:
                raise MalformedLineError("The line is no meeting of QMSum.", file=file, line=number) from error
            corpus[meeting] = "\n".join(turns)
            for text in asked:
                relevant.setdefault(text, {})[meeting] = 1
    queries = {f"q{number:03}": text for number, text in enumerate(relevant)}
    name = "qmsum" if ask == "answer" else "qmsum-questions"
    return Collection(name, corpus, queries, {query: relevant[text] for query, text in queries.items()})


def _clean(text: str) -> str:
    """Take out ``{disfmarker}`` and the like, and the spaces that transcription puts before punctuation."""
    return _BEFORE.sub("", _SPACE.sub(" ", _MARK.sub(" ", text))).strip()
