"""The compact index: vectors as nested scalar codes in the axes of their own spread, searched in two planes."""
