"""The record of a run, the reports that it is made of, and summaries of long series."""

from snnlab.history.history import History
from snnlab.history.report import Report, column_of, term_names

__all__ = ["History", "Report", "column_of", "term_names"]
