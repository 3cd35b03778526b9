"""The HTTP face: FastAPI, mounted under `/api`, documented at `/api/docs`."""
