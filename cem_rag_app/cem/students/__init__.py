"""The students: different ways to read compressed bytes, one protocol."""
