"""The symbols view of a zstd frame: its entropy layer read, its matches never executed."""
