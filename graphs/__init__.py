"""LangGraph state machines: the persona chat and the document questions."""
