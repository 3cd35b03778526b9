"""Tests, importable so that suites can share fakes."""
