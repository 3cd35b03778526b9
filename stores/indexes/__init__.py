"""Vector indexes: derived from the catalog and the packs, replaceable, never believed without a check."""
