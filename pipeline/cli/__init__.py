"""``timereel ...``: commands that run jobs, that ask an index, and that keep it."""

from pipeline.cli.running import main

__all__ = ["main"]
