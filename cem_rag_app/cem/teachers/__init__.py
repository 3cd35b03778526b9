"""Text encoders whose vector spaces the compressed-domain students learn."""
