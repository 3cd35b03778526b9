"""Prompts, one Markdown file each, and their loader."""
