"""The record of a run, the reports that it is made of, and summaries of long series."""

from snnlab.history.history import History
from snnlab.history.report import Report, Scored, column_of, metric_column, metric_names, term_names

__all__ = ["History", "Report", "Scored", "column_of", "metric_column", "metric_names", "term_names"]
