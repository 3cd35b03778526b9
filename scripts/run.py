"""`python -m scripts.run` is `cem-rag serve`."""

from __future__ import annotations

import sys

from ui.cli import main

if __name__ == "__main__":
    main(["serve", *sys.argv[1:]])
