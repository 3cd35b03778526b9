"""Writes a kept memory with the code of the release it is run in: ``python make.py FOLDER``.

It is run once, in a checkout of the release whose schema is to be kept, and never again for that schema.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

from cem_rag_app.persona.rules import HardRules
from cem_rag_app.schema import MemoryItem, Message
from cem_rag_app.settings import Settings
from stores.documents import read_items
from stores.memory import Memory, MemoryProfile
from tests.fakes.encoders import fake_encoders

START = 1_700_000_000.0
DISHES = ("火锅", "饺子", "凉皮", "拉面", "寿司", "烤鱼", "披萨", "馄饨", "米线", "煎饼")


def history() -> list[Message]:
    """Forty turns: ids of three kinds, two conversations, two sources, text with newlines, one empty message."""
    lines = []
    for turn in range(40):
        conversation, source = ("default", "history") if turn % 10 else ("work", "letters")
        for place, (role, text) in enumerate(
            (
                ("user", f"第{turn}天吃什么"),
                ("assistant", f"吃{DISHES[turn % 10]}"),
                ("assistant", f"第{turn}家\n好不好"),
            )
        ):
            source_id = ("", f"{turn * 3 + place}", f"{turn:032x}", f"row {turn}.{place}")[turn % 4]
            if turn % 4 == 2:
                source_id = f"{turn * 3 + place + 0xABC:032x}"
            at = START + turn * 3600.0 + place * (0.25 if turn % 2 else 1.0)
            speaker = "我" if role == "user" else "小雨"
            said = "" if (turn, place) == (7, 0) else text
            lines.append(Message(role, speaker, said, at, 0, conversation, source, source_id))
    return lines


def documents() -> list[MemoryItem]:
    """Twenty documents of several chunks, with metadata of every type that JSON has."""
    return [
        MemoryItem(
            f"d{n}",
            " ".join(f"Sentence {part} of paper {n} is about wings." for part in range(30 if n % 3 else 2)),
            START + n * 86_400.0 if n % 2 else 0.0,
            "papers" if n < 15 else "notes",
            {} if n == 0 else {"year": 1950 + n, "label": f"l{n % 3}", "draft": n == 7, "tags": ["a", n], "no": None},
        )
        for n in range(20)
    ]


def main() -> None:
    """Make it, and write down beside it what it holds."""
    folder = Path(sys.argv[1])
    settings = Settings(pack={"level": 3})
    profile = MemoryProfile("chat", "fake", HardRules(persona="小雨"), "zh")
    with Memory.create(folder, profile, encoders=fake_encoders, settings=settings) as memory:
        memory.import_messages(history()[:90])
        memory.import_items(documents()[:12])
        memory.build()
        memory.import_items(
            [MemoryItem("d3", "Another text altogether.", START, "papers", {"year": 2000}), *documents()[12:]]
        )
        memory.delete_items(["d5"])
        memory.import_messages(history())
        kept = [
            memory.remember(
                Message(
                    "assistant" if position else "user",
                    "小雨" if position else "我",
                    f"第{turn}轮第{position}句",
                    START + 1e6 + turn * 60.5 + position,
                    source="chat",
                    source_id=f"{turn:032x}:{position}",
                ),
                turn_id=f"{turn:032x}",
                position=position,
            )
            for turn in range(5)
            for position in range(3)
        ]
        memory.remember(Message("user", "我", "没有来源的一句", START + 2e6), turn_id="a turn", position=0)
        memory.mark(kept[4].message_id, True)
        memory.save_record(f"{1:032x}", {"chosen": "好", "lines": ["第1轮第0句"]})
        memory.set_state("style", {"particles": ["呀"]})
        held = {
            "messages": {
                name: [asdict(message) for message in memory.recent(1000, conversation=name)]
                for name in ("default", "work")
            },
            "items": [
                asdict(item)
                for item in read_items(memory.database, memory.frames, [f"d{n}" for n in range(20)], limit=1 << 20)
            ],
            "marks": memory.marks(),
            "records": {f"{1:032x}": memory.record(f"{1:032x}")},
            "state": {"style": memory.get_state("style")},
            "counts": memory.status()["counts"],
        }
        if memory.check().findings:
            raise SystemExit(f"Not worth keeping: {memory.check().findings}")
    shutil.rmtree(folder / "index")  # derived
    (folder / "lock").unlink(missing_ok=True)
    (folder / "expected.json").write_text(json.dumps(held, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main()
