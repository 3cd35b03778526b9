"""Draw ``docs/images/flow.svg``, the picture of the flow in the README.

Usage: ``python -m scripts.draw_flow [--output docs/images/flow.svg]``
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from html import escape
from pathlib import Path

PAPER, INK, MUTED = "#fbfaf7", "#22252a", "#6b7280"
CLOSED, OPEN, QUERY = "#dfe7f3", "#fde9c8", "#e3f0e1"


@dataclass(frozen=True)
class Box:
    """One labelled box; ``x`` and ``y`` are its top left corner in pixels."""

    x: int
    y: int
    width: int
    title: str
    detail: str
    fill: str

    def draw(self) -> str:
        """The box as SVG."""
        middle = self.x + self.width // 2
        return (
            f'<rect x="{self.x}" y="{self.y}" width="{self.width}" height="64" rx="10" fill="{self.fill}" '
            f'stroke="{INK}" stroke-opacity=".25"/>'
            f'<text x="{middle}" y="{self.y + 28}" class="title">{escape(self.title)}</text>'
            f'<text x="{middle}" y="{self.y + 48}" class="detail">{escape(self.detail)}</text>'
        )


BOXES = (
    Box(24, 56, 150, "your history", "chat, notes, documents", OPEN),
    Box(226, 56, 170, "zpkg frame", "zstd, shared dictionary", CLOSED),
    Box(448, 56, 190, "CEM", "reads the compressed bytes", CLOSED),
    Box(690, 56, 150, "vector index", "teacher's space", CLOSED),
    Box(226, 168, 170, "packs + catalog", "smaller than the text", CLOSED),
    Box(24, 280, 150, "your question", "text, never compressed", QUERY),
    Box(226, 280, 170, "text encoder", "same space as CEM", QUERY),
    Box(690, 280, 150, "top K", "ids, still closed", CLOSED),
    Box(690, 392, 150, "open K frames", "the only decompression", OPEN),
    Box(448, 392, 190, "persona · documents", "plan, say, check the rules", OPEN),
    Box(226, 392, 170, "answer", "bubbles, cited chunks", OPEN),
)
ARROWS = (
    "M174 88 H224", "M396 88 H446", "M638 88 H688", "M311 120 V166", "M174 312 H224", "M396 312 H664 V146 H730 V122",
    "M800 120 V278", "M800 344 V390", "M396 200 H422 V368 H730 V390", "M690 424 H640", "M448 424 H398",
)  # fmt: skip


def picture() -> str:
    """The whole picture as SVG text."""
    style = (
        f"text{{font-family:Inter,'Segoe UI','Noto Sans',sans-serif;fill:{INK};text-anchor:middle}}"
        f".title{{font-size:16px;font-weight:600}}.detail{{font-size:12px;fill:{MUTED}}}"
        f".note{{font-size:13px;fill:{MUTED};text-anchor:start}}"
        f"path{{fill:none;stroke:{INK};stroke-width:1.6;marker-end:url(#head)}}"
    )
    head = (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<polygon points="0,0 8,4 0,8" fill="{INK}"/></marker></defs>'
    )
    motto = '<text x="24" y="34" class="note">stored compressed, searched compressed, opened only where recalled</text>'
    notes = motto + "".join(
        f'<rect x="{x}" y="22" width="14" height="14" rx="3" fill="{fill}"/>'
        f'<text x="{x + 20}" y="34" class="note">{label}</text>'
        for x, fill, label in ((610, CLOSED, "closed"), (690, OPEN, "open text"), (782, QUERY, "query"))
    )
    body = "".join(f'<path d="{arrow}"/>' for arrow in ARROWS) + "".join(box.draw() for box in BOXES)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 864 480" role="img" '
        'aria-label="Text becomes frames, frames become vectors, a question finds the top K and only those are opened">'
        f'<style>{style}</style>{head}<rect width="864" height="480" fill="{PAPER}"/>{notes}{body}</svg>\n'
    )


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/images/flow.svg"))
    output: Path = parser.parse_args().output
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(picture(), encoding="utf-8")
    print(output)


if __name__ == "__main__":
    main()
