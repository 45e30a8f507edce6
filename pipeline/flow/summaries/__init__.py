"""Summaries of whole days: which of them are pending, and how they are written."""
