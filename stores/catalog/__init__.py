"""The catalog: what a memory holds and where each piece lies. It is the truth; indexes are derived from it."""
