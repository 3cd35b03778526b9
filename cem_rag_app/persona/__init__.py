"""One person's way of speaking: history import, segments, hard rules, style, candidate scoring, intents.

Everything here is pure: no storage, no model, no framework. The other rooms bring messages and similarity functions.
"""
