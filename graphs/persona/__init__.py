"""The persona graph: remember, recall, plan, generate, criticise, enforce, remember."""
