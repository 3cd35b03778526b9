"""The engine: codecs, models, rules and measures. It knows no framework and no store."""
