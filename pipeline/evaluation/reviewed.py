"""The truth as people have written it down by reviewing events.

What a person has judged is known; of all else nothing is known. So only events count that were
judged themselves, and, of an answer that nobody has judged (made with other settings), those that
lie where something was judged.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from pipeline.evaluation.matching import TimedEvent
from pipeline.evaluation.scores import Footage

Row: TypeAlias = Mapping[str, Any]
_TRUE = frozenset({"confirmed", "corrected", "missed"})


def reviewed_truth(
    reviews: Iterable[Row], *, sample_step_s: float
) -> tuple[list[TimedEvent], Footage]:
    """The true events of the newest ``reviews``; it is not known how many hours were looked at."""
    judged = [row for row in reviews if row["verdict"] != "open"]
    cameras = tuple(sorted({row["camera"] for row in judged}))
    truth = [_timed(row) for row in judged if row["verdict"] in _TRUE]
    steps = dict.fromkeys(cameras, sample_step_s)
    return truth, Footage(groups=cameras, hours=0.0, sample_step_s=steps)


def reviewed_events(events: Sequence[Row], reviews: Iterable[Row]) -> list[Row]:
    """Those of the rows of ``events`` about which the ``reviews`` say whether they are true."""
    judged = [row for row in reviews if row["verdict"] != "open"]
    ids = {(row["event_id"], row["task"]) for row in judged}
    answers = {(row["task"], row["fingerprint"]) for row in judged}
    return [
        event
        for event in events
        if (event["event_id"], event["task"]) in ids
        or (
            (event["task"], event["fingerprint"]) not in answers
            and any(_is_at(event, row) for row in judged)
        )
    ]


def _is_at(event: Row, judged: Row) -> bool:
    ranges = [(judged["start"], judged["end"])]
    if judged["was_start"] is not None:
        ranges.append((judged["was_start"], judged["was_end"]))
    return (event["camera"], event["task"]) == (judged["camera"], judged["task"]) and any(
        event["start"] < end and start < event["end"] for start, end in ranges
    )


def _timed(row: Row) -> TimedEvent:
    return TimedEvent(
        group=row["camera"],
        label=row["label"],
        start_s=row["start"].timestamp(),
        end_s=row["end"].timestamp(),
    )
