"""The container: compressed chunks behind one shared dictionary, each reachable in O(1). See ``docs/zpkg-spec.md``.

zpkg knows no ids, no metadata and no text (invariant I3). Nothing is imported here, because
:mod:`cem_rag_app.zpkg.late`, the only decompression, must be imported by name or not at all.
"""
