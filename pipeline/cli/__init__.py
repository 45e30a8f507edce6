"""``timereel ...``: commands that run jobs, look before a run, ask an index, or keep it."""

from pipeline.cli.app import main

__all__ = ["main"]
