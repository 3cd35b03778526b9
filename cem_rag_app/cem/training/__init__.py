"""Training: one loop for every view, what it reads, and how its runs are kept (docs/training.md)."""
