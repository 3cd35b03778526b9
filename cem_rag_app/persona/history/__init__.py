"""Chat histories -> messages: generic JSON lines and CSV, in the encodings that real exports come in."""

from cem_rag_app.persona.history.columns import Columns
from cem_rag_app.persona.history.reader import FORMATS, HistoryFormat, read_history
from cem_rag_app.persona.history.report import HistoryReport

__all__ = ["FORMATS", "Columns", "HistoryFormat", "HistoryReport", "read_history"]
