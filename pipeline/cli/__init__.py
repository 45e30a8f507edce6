"""``timereel ...``: the commands that index, inspect, query and maintain."""

from pipeline.cli.app import main

__all__ = ["main"]
