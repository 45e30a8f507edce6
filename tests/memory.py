"""The largest memory that this process held, from a moment that a test chooses."""

from pathlib import Path


def forget_peak() -> None:
    """From here on, ``peak_bytes`` tells of what comes, not of earlier tests (proc(5))."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    """Of the resident memory. Not ``ru_maxrss``, which counts the parent from before the start."""
    status = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
