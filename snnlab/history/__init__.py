"""What happened in a run: its record, the reports that the record is made of, and summaries of long series."""

from snnlab.history.history import History
from snnlab.history.report import Report, term_names

__all__ = ["History", "Report", "term_names"]
