"""Proof of what ``docs/durability.md`` promises: memories that are killed, starved, torn and flipped on purpose.

Nothing of the product imports this; ``cem-rag bench durability`` and the tests do.
"""
