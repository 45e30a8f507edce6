"""``python -m pipeline.cli``: the same as ``timereel``."""

from pipeline.cli import main

main()
