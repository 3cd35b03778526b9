"""Other stores under the same load as ours: one adapter a file, one way of measuring.

Nothing of the product imports this package but the benchmark command. The peers are the extra ``peers``.
"""
