"""`python -m scripts.build_semantic_index` is `cem-rag build`."""

from __future__ import annotations

import sys

from ui.cli import main

if __name__ == "__main__":
    main(["build", *sys.argv[1:]])
