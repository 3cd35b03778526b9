"""Questions to documents: retrieve, answer, cite."""
