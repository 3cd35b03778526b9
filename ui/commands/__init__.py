"""The subcommands of `cem-rag`, imported one at a time by `ui.cli`."""
