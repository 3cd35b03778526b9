"""Forgetting for good: the rows of what is to be forgotten, and then every byte that was made of them."""
