"""``timereel check``: whether all files exist, can be read, and hold rows that agree.

It reads every value of the index once. It cannot detect a changed byte that still reads as a valid
value, because the files hold no checksums.
"""

from contextlib import suppress
from dataclasses import replace

from pipeline.errors import IndexDamagedError
from pipeline.index.check_files import Stored, check_files
from pipeline.index.check_rows import disagreements
from pipeline.index.findings import Finding
from pipeline.index.store import Store
from pipeline.index.store_errors import refuse_closed_index

_UNFINISHED_REPAIR = Finding(
    kind="half mended",
    table="videos",
    what="a repair was not finished",
    what_is_lost="nothing is lost by that; readers are refused until it is finished",
    repair="it continues",
)


def check(store: Store) -> list[Finding]:
    """All faults of an index; an empty list if it has none.

    Raises:
        IndexFormatError: there is no index, or it has a newer version.
        IndexRightsError: this user may not read a part of it.
    """
    if store.is_local:
        refuse_closed_index(store.root, to_write=False)
    repair_store = replace(store, is_for_repair=True)
    stored = stored_files(repair_store)
    findings = [*stored.findings, *disagreements(repair_store, stored)]
    return [*findings, _UNFINISHED_REPAIR] if store.has_unfinished_repair else findings


def stored_files(store: Store) -> Stored:
    """The result of ``check_files``; raises if there is no index, but not if it is damaged."""
    with suppress(IndexDamagedError):
        store.handle("videos")
    return check_files(store)
