"""What lasts: the catalog, packs, vector indexes and the memory over them."""
