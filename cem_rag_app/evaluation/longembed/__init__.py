"""LongEmbed: can a document be found by one detail, however long it is? Two tasks are made here, the others read.

The benchmark is Zhu et al., *LongEmbed: Extending Embedding Models for Long Context Retrieval* (2024),
https://arxiv.org/abs/2404.12096. What is the same as published and what is not: ``docs/longembed.md``.
"""
