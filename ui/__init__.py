"""The faces: terminal, web chat, HTTP API."""
