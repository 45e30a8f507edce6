"""A unique name for a process, and whether it has ended.

Whether it has ended is known only of processes that this one can see.
"""

import os
import socket
from pathlib import Path

# Fields of /proc/PID/stat, counted after the process name, which may hold any character.
_STATE, _STARTED = 0, 19
_ENDED = "ZX"


def unique_name() -> str:
    """A name that no other process ever has, not even one that gets the same id later."""
    pid = os.getpid()
    return f"{_visible_from()}/{pid}/{_started(pid)}"


def has_ended(name: str) -> bool:
    """Whether the process with this ``unique_name`` has ended; False if it cannot be seen here."""
    space, pid, started = name.rsplit("/", 2)
    if space != _visible_from():
        return False
    now = _started(int(pid))
    return now is None or bool(now and started and now != started)


def _visible_from() -> str:
    """The boot of this machine, and the container; inside both, a process id is unique.

    A host name is not enough: many hosts are called localhost, and containers may share a name.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # not Linux
        return socket.gethostname()


def _started(pid: int) -> str | None:
    """When the process began, in kernel ticks; "" if unknown, None if there is no process."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace").rpartition(")")[2]
    except OSError:  # it has ended, it is hidden, or this is not Linux
        return "" if _exists(pid) else None
    fields = line.split()
    return None if fields[_STATE] in _ENDED else fields[_STARTED]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
