"""Is another process gone? Told only where it can be known: of processes that this one can see."""

import os
import socket
from pathlib import Path

# In the line of /proc/PID/stat, counted after the name, which may hold anything.
_STATE, _STARTED = 0, 19
_ENDED = "ZX"


def own_name() -> str:
    """What no other process is ever called, not even one that gets the same id later."""
    pid = os.getpid()
    return f"{_visible_from()}/{pid}/{_started(pid)}"


def is_gone(name: str) -> bool:
    """Whether the process with this ``own_name`` has ended; False where that cannot be seen."""
    space, pid, started = name.rsplit("/", 2)
    if space != _visible_from():
        return False
    now = _started(int(pid))
    return now is None or bool(now and started and now != started)


def _visible_from() -> str:
    """The machine since it was switched on, and the container: where a process id is one process.

    A host's name is not enough: many are called localhost, and containers may share one.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # not Linux
        return socket.gethostname()


def _started(pid: int) -> str | None:
    """When the process began, in ticks of the kernel; "" if unknown, None if there is none."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace").rpartition(")")[2]
    except OSError:  # gone, or hidden, or not Linux
        return "" if _exists(pid) else None
    facts = told.split()
    return None if facts[_STATE] in _ENDED else facts[_STARTED]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
