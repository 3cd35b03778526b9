"""Which addresses belong to this machine alone."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")
