"""Where installs of an older version look for what is in ``timereel_torch_builds`` now."""

from timereel_torch_builds import repair

__all__ = ["repair"]
