"""Macro sequences of a drawing program: made, compared, and described by a vector."""
