"""A limit on the memory that a call may add: what asks for more gets an error."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DATA_PAGES = 5
"""The field of ``/proc/self/statm``."""


@contextmanager
def memory_limit(num_bytes: int) -> Iterator[None]:
    """Inside, this process may allocate ``num_bytes`` more than it has now.

    The limit is one of the whole process, also of its other threads.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[_DATA_PAGES])
    limit = pages * resource.getpagesize() + num_bytes
    finite = [value for value in (soft, hard, limit) if value != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(finite), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
