"""Vectors of things other than text: items with a latent vector ``z`` and perhaps a macro sequence ``vec``.

The truth is SQL (SQLite, PostgreSQL or OceanBase, by URL); the index beside it is derived and follows it.
"""
