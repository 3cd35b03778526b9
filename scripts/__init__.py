"""Thin mains: parse, call, print. Run them with ``python -m scripts.NAME``."""
