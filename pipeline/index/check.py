"""``timereel check``: is everything there, can it be read, and do the rows agree with each other.

Every value of the index is read once. A byte that was changed and still reads as a value is not
seen: the files hold no checksums.
"""

from contextlib import suppress
from dataclasses import replace

from pipeline.errors import IndexDamagedError
from pipeline.index.check_files import Stored, check_files
from pipeline.index.check_rows import disagreements
from pipeline.index.findings import Finding
from pipeline.index.store import Store

_HALF_MENDED = Finding(
    kind="half mended",
    table="videos",
    what="a repair was not finished",
    what_is_lost="nothing is lost by that; readers are refused until it is",
    repair="it goes on",
)


def check(store: Store) -> list[Finding]:
    """All that is wrong with an index; empty if it is sound.

    Raises:
        IndexFormatError: there is no index, or it is of a newer version.
    """
    mending = replace(store, is_mending=True)
    stored = stored_files(mending)
    found = [*stored.findings, *disagreements(mending, stored.paths)]
    return [*found, _HALF_MENDED] if store.is_half_mended else found


def stored_files(store: Store) -> Stored:
    """See ``check_files``; refuses what is no index, and not what is damaged."""
    with suppress(IndexDamagedError):
        store.handle("videos")
    return check_files(store)
