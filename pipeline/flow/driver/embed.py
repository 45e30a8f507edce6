"""Makes the vectors that an index lacks, as a run that others can see and wait for. No Ray here."""

from dataclasses import dataclass

from pipeline.errors import EXIT_OK
from pipeline.flow.driver.run_identity import new_run
from pipeline.index import apply_orders, open_index
from pipeline.index.lease import take_lease
from pipeline.index.vectors import Embed, embed_missing
from pipeline.records import Run

_ALL_TASKS = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """What one call did."""

    num_vectors: int = 0
    others: tuple[Run, ...] = ()
    """Runs that make these vectors now, so that this call made none."""


def embed_index(index_uri: str, embed: Embed, embedder: str) -> Embedded:
    """Make the vectors of all texts that have none of this embedder.

    If another run does that now, this call does nothing. A text that is erased meanwhile has no
    vector when the call returns.

    Raises:
        IndexFormatError: there is no index.
        LeaseLostError: this run sent no heartbeat for so long that another run took over.
    """
    index = open_index(index_uri)
    apply_orders(index)
    if not (cameras := index.known_cameras()):
        return Embedded()
    run = new_run(_ALL_TASKS, embedder, "embed")
    # A vector is of a day, and not of a camera: whoever lacks one camera lacks all.
    with take_lease(index.store, run, cameras) as lease:
        num_vectors = 0
        if not lease.others:
            num_vectors = embed_missing(index, embed, embedder, lease.confirm)
        lease.end("done", EXIT_OK)
    apply_orders(index)
    return Embedded(num_vectors=num_vectors, others=lease.others)
