"""Compressed bytes to embeddings: teachers, students, training."""
