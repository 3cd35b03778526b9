"""Measures, collections, the modality-agnostic evaluator and the reports other programs read."""
