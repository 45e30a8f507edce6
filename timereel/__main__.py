"""``python -m timereel``: the same as ``timereel``."""

from pipeline.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
