"""Run LongEmbed's tasks with one model; the same door as ``cem-rag eval longembed``.

Usage: ``python -m scripts.longembed_eval --model PATH_OR_NAME --tasks passkey,needle --output-dir DIR --device cpu``
"""

from __future__ import annotations

import sys

from ui.cli import main

if __name__ == "__main__":
    main(["eval", "longembed", *sys.argv[1:]])
