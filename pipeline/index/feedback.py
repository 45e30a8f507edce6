"""What people say about events: written once, never changed; the newest statement counts."""

# ruff: noqa: S608 - values are parameters, names and paths are quoted

from collections.abc import Iterable
from typing import Literal, get_args

from pipeline.errors import ConfigError
from pipeline.index.filters import Names, Where, list_names
from pipeline.index.replace import all_of, is_one_of, on_dates, replace
from pipeline.index.store import Store
from pipeline.index.validate import conform
from pipeline.records import Feedback
from pipeline.tables.feedback import feedback_table

ReviewState = Literal["open", "confirmed", "rejected", "corrected", "missed"]
"""What the newest statement about an event says; ``open`` if there is none."""


def write_feedback(store: Store, said: Iterable[Feedback]) -> None:
    """Add statements in one commit; the same ones again change nothing.

    Raises:
        CommitFailedError: other writers changed the same rows at every attempt.
    """
    rows = feedback_table(said)
    if not rows.num_rows:
        return
    store.create_table("feedback")
    ids = is_one_of("feedback_id", rows["feedback_id"].to_pylist())
    predicate = all_of(on_dates(rows["date"].to_pylist()), ids)
    replace(store, "feedback", conform("feedback", rows), predicate)


def newest(source: str) -> str:
    """The newest statement about each event, for a FROM clause, out of all of ``feedback``."""
    return (
        f"(FROM {source} QUALIFY row_number() OVER ("
        "PARTITION BY event_id, task ORDER BY said_at DESC, feedback_id) = 1)"
    )


def reviewed_as(states: Names, source: str) -> Where:
    """Events about which the newest statement says one of these.

    Raises:
        ConfigError: a state is unknown.
    """
    wanted = set(list_names(states))
    if unknown := sorted(wanted - set(get_args(ReviewState))):
        raise ConfigError(
            f"review {unknown[0]!r}: must be one of {', '.join(get_args(ReviewState))}"
        )
    key = "event_id || '/' || task"
    said = f"{key} IN (SELECT {key} FROM {newest(source)} WHERE verdict"
    closed = sorted(wanted - {"open"})
    alternatives = [Where().add(f"{said} IN ({', '.join('?' * len(closed))}))", *closed)]
    if "open" in wanted:
        alternatives.append(Where().add(f"NOT {said} <> 'open')"))
    return Where.any_of(alternatives if closed else alternatives[1:])
