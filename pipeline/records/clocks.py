"""What can say when a recording began: one list, the most trusted first.

Who adds a clock adds it here, in its place in the order; docs/clocks.md explains the same list.
"""

from typing import Literal, get_args

Clock = Literal[
    "path",
    "sidecar",
    "playlist",
    "chapter",
    "gps",
    "creationdate",
    "frames",
    "timecode",
    "creation_time",
    "date",
    "mtime",
    "none",
]

CLOCKS: tuple[Clock, ...] = get_args(Clock)
"""In the order of trust: the first that a file has gives its start."""

STATED_CLOCKS: frozenset[Clock] = frozenset(CLOCKS) - {"mtime", "none"}
"""Those that somebody has written down. By modification times alone, files that were copied
together would seem to overlap."""
