"""Summaries of days: which days are pending, and how their summaries are written."""
