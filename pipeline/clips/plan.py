"""Which times are meant, and which part of which file shows them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Unpack

from pipeline.clips.ranges import Wanted, around_events, in_time_order
from pipeline.errors import ConfigError, NoSourcesError
from pipeline.index import Index, QueryOptions, erased_ranges
from pipeline.index.filters import Cameras, Names, Span, When, Where
from pipeline.media.clip import SUFFIXES
from pipeline.records import Cut, Video
from pipeline.records.file_names import file_name
from pipeline.tables.columns import Row
from pipeline.tables.videos import video_of_row
from pipeline.timebase import NS_PER_US, TimeRange, datetime_to_ns, ns_to_datetime, without


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One clip to make."""

    target: str
    cuts: tuple[Cut, ...]


def events_of(
    index: Index,
    ids: Sequence[str] | None,
    start: When,
    end: When,
    **options: Unpack[QueryOptions],
) -> list[Row]:
    """The events of a query; with ``ids`` only these of them.

    Raises:
        NoSourcesError: there is none, or one of the ids is unknown.
    """
    rows: list[Row] = index.events(start, end, **options).to_pylist()
    if not ids:
        if not rows:
            raise NoSourcesError("no event matches; timereel query lists what there is")
        return rows
    by_id = {row["event_id"]: row for row in rows}
    if unknown := [one for one in ids if one not in by_id]:
        raise NoSourcesError(
            f"no event {', '.join(unknown)} matches; timereel query --format jsonl lists event_id"
        )
    return [by_id[one] for one in dict.fromkeys(ids)]


def times_of(index: Index, start: When, end: When, camera: Names, *, pad_ns: int) -> list[Wanted]:
    """The whole of a time, of each camera that is meant.

    Raises:
        ConfigError: the start, the end or the camera is missing.
        NoSourcesError: no such camera is known.
    """
    span = Span.parse(start, end)
    if span.start_us is None or span.end_us is None or not camera:
        raise ConfigError(
            "say what to cut: --event or --label or --text, or else --from, --to and --camera"
        )
    rows = index.distinct("videos", ["camera"], start, end, camera=camera).to_pylist()
    if not rows:
        raise NoSourcesError(f"no footage of {camera} from {start} to {end}")
    wanted = TimeRange(span.start_us * NS_PER_US - pad_ns, span.end_us * NS_PER_US + pad_ns)
    return [Wanted(camera=row["camera"], span=wanted) for row in rows]


def orders(index: Index, wanted: Sequence[Wanted], out: str, *, join: bool) -> list[Order]:
    """The clips to make: all in the file ``out``, or one for each time in the folder ``out``.

    Raises:
        ConfigError: ``out`` is a folder and one file is wanted, or the other way round.
        NoSourcesError: no footage is left of it.
    """
    is_file = out.lower().endswith(SUFFIXES)
    if join and not is_file:
        raise ConfigError(f"{out}: --join makes one file; name one that ends with .mp4 or .mkv")
    if is_file and not join and len(wanted) > 1:
        raise ConfigError(
            f"{out}: is one file, and there are {len(wanted)} clips; add --join or name a folder"
        )
    if is_file:
        cuts = [cut for one in in_time_order(wanted) for cut in cuts_of(index, one)]
        made = [Order(target=out, cuts=tuple(_by_time(cuts)))]
    else:
        made = [
            Order(target=f"{out.rstrip('/')}/{_name(one)}", cuts=tuple(cuts_of(index, one)))
            for one in wanted
        ]
    if not any(order.cuts for order in made):
        raise NoSourcesError("there is no footage of this time; timereel coverage says why")
    return [order for order in made if order.cuts]


def cuts_around(index: Index, rows: Sequence[Row], pad_ns: int) -> list[Cut]:
    """The cuts that show these rows of a table, in order of time, each moment once.

    Raises:
        ConfigError: the rows have no camera and time.
        NoSourcesError: there are none, or no footage is left of them.
    """
    if rows and not {"camera", "start", "end"} <= rows[0].keys():
        raise ConfigError("an edit list needs the columns camera, start and end")
    wanted = in_time_order(around_events(rows, pad_ns))
    cuts = _by_time(cut for one in wanted for cut in cuts_of(index, one))
    if not cuts:
        raise NoSourcesError("no footage matches; timereel query and coverage say what there is")
    return cuts


def _by_time(cuts: Iterable[Cut]) -> list[Cut]:
    return sorted(cuts, key=lambda cut: (cut.utc.start_ns, cut.video.camera))


def _name(wanted: Wanted) -> str:
    at = ns_to_datetime(wanted.span.start_ns).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"
    parts = [file_name(wanted.camera), at]
    if wanted.event_ids:
        parts.append(file_name("_".join(wanted.event_ids)))
    return "_".join(parts) + SUFFIXES[0]


def cuts_of(index: Index, wanted: Wanted) -> list[Cut]:
    """The cuts that show a time, in order; erased footage and gaps are left out.

    Of files that overlap, each moment is shown by the file that owns it.
    """
    left = without([wanted.span], _erased(index, wanted))
    cuts: list[Cut] = []
    for video, footage in _videos(index, wanted):
        shown = [
            TimeRange(max(own.start_ns, one.start_ns), min(own.end_ns, one.end_ns))
            for own in footage
            for one in left
            if own.overlaps(one)
        ]
        left = without(left, shown)
        cuts += [
            Cut(video=video, media=video.media(utc), event_ids=wanted.event_ids) for utc in shown
        ]
    return sorted(cuts, key=lambda cut: cut.utc)


def _erased(index: Index, wanted: Wanted) -> list[TimeRange]:
    """What was erased of any task, also by an order that is not yet carried out."""
    start, end = ns_to_datetime(wanted.span.start_ns), ns_to_datetime(wanted.span.end_ns)
    done = erased_ranges(index, [wanted.camera], start, end).get(wanted.camera, [])
    states = index.coverage(start, end, camera=wanted.camera).to_pylist()
    ordered = [(row["start"], row["end"]) for row in states if row["state"] == "erased"]
    ranges = [*((low, high) for low, high, _ in done), *ordered]
    return sorted(TimeRange(datetime_to_ns(low), datetime_to_ns(high)) for low, high in ranges)


def _videos(index: Index, wanted: Wanted) -> Iterator[tuple[Video, list[TimeRange]]]:
    """Each file that shows footage in this time, once, and what it owns; UTC."""
    rows = index.select(
        "videos",
        Where().add("status <> 'erased'"),
        span=Span(wanted.span.start_ns // NS_PER_US, -(-wanted.span.end_ns // NS_PER_US)),
        cameras=Cameras(exact=(wanted.camera,)),
    ).to_pylist()
    for row in {row["video_id"]: row for row in rows if row["footage"]}.values():
        if row["clock_start_ns"] is None or row["origin_pts"] is None:
            raise ConfigError(
                f"{row['uri']}: was indexed by an older timereel, which did not write where its"
                " time begins; index it again"
            )
        owned = [_range(part) for part in row["footage"]]
        all_footage = sorted([*owned, *map(_range, row["yielded"] or ())])
        video = video_of_row(row, ())
        yield replace(video, footage=tuple(map(video.media, all_footage))), owned


def _range(row: Row) -> TimeRange:
    return TimeRange(datetime_to_ns(row["start"]), datetime_to_ns(row["end"]))
