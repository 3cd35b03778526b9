"""Full-text search: sealed, block-compressed postings, a fresh part in the catalog, and exact BM25 over both."""
