"""The `frame` view: zstd frames as they lie in a pack, read as plain bytes. Nothing is decoded."""
