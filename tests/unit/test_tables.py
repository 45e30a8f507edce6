"""Records come back from the rows of the tables as they were."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.index.erase_orders import Erasure
from pipeline.index.filters import Cameras, Span
from pipeline.index.scope import SCOPE_MAKERS, Scope
from pipeline.index.stored_rows import oddity
from pipeline.records import (
    NOTE_KINDS,
    SUMMARY_LEVELS,
    Box,
    Completion,
    Event,
    Line,
    Part,
    Run,
    RunFigures,
    Segment,
    Source,
    Summary,
    Verification,
    Video,
    WindowResult,
    WrittenNote,
    Yielded,
)
from pipeline.tables import (
    erasures,
    events,
    runs,
    segments,
    summaries,
    videos,
    windows,
)
from pipeline.tables.schema import TABLES
from pipeline.tables.shared import Provenance
from pipeline.timebase import NS_PER_S, ClockCorrection, TimeRange, ns_to_datetime
from tests.made import a_video

PROVENANCE = Provenance(task="t", model="m", prompt_id="p", fingerprint="f", config="{}")
YEAR_NS = 365 * 86_400 * NS_PER_S

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
ids = st.lists(texts, max_size=3).map(tuple)
maps = st.dictionaries(texts, texts, max_size=3)
counts = st.integers(0, 2**31 - 1)
ticks = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4).map(tuple)
floats32 = st.floats(-1e9, 1e9, width=32)
figures = st.floats(0, 9e9)
instants_ns = st.integers(-YEAR_NS, 100 * YEAR_NS)
instants = instants_ns.map(ns_to_datetime)
media_ns = st.integers(-YEAR_NS, 3 * YEAR_NS)
lengths_ns = st.integers(1, 3 * YEAR_NS)
verdicts = st.none() | st.sampled_from(["confirmed", "moved", "split"])


def ranges(starts_ns):
    """Any range, also one that is shorter than what a table tells apart."""
    return st.builds(lambda start, ns: TimeRange(start, start + ns), starts_ns, lengths_ns)


utc_ranges, media_ranges = ranges(instants_ns), ranges(media_ns)
stored_utc_ranges, stored_media_ranges = (
    some.map(TimeRange.in_microseconds) for some in (utc_ranges, media_ranges)
)
stored_instants_ns = instants_ns.map(lambda ns: ns // 1000 * 1000)


def stored(name, table):
    """The same, as it comes back from a file; whoever reads it later refuses nothing of it."""
    assert table.schema == TABLES[name]
    assert oddity(name, table) == ""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return pa.ipc.open_file(sink.getvalue()).read_all()


verifications = st.builds(
    Verification,
    span=stored_media_ranges,
    frame_pts=ticks,
    completion=st.builds(
        Completion,
        text=texts,
        finish_reason=texts,
        markers=ids,
        confidences=st.lists(floats32, max_size=3).map(tuple),
        num_prompt_tokens=counts,
        num_output_tokens=counts,
        error=texts,
    ),
)
results = st.builds(
    WindowResult,
    window_id=texts,
    shard_id=texts,
    video_id=texts,
    span=media_ranges,
    status=st.sampled_from(["analysed", "quiet", "failed", "erased"]),
    frame_pts=st.lists(st.integers(-(10**9), 10**9), max_size=4).map(tuple),
    num_suspect=counts,
    quiet_reason=texts,
    told=texts,
    text=texts,
    finish_reason=texts,
    markers=ids,
    confidences=st.lists(floats32, max_size=3).map(tuple),
    verifications=st.lists(verifications, max_size=2).map(tuple),
    num_prompt_tokens=counts,
    num_output_tokens=counts,
    error=texts,
    decode_cpu_s=figures,
    engine_s=figures,
)


@given(st.lists(results, max_size=3), instants_ns)
def test_windows_come_back_to_the_nanosecond(made, start_ns):
    video = a_video(start_ns=start_ns)
    rows = ((video, result) for result in made)
    table = stored("windows", windows.windows_table(rows, PROVENANCE))
    assert windows.window_results(table) == made


def test_a_window_of_an_older_timereel_comes_back_to_the_microsecond():
    result = WindowResult(
        window_id="w", shard_id="s", video_id="v", span=TimeRange(1_999, 5_001_001),
        status="quiet", frame_pts=(),
    )  # fmt: skip
    [row] = windows.windows_table([(a_video(), result)], PROVENANCE).to_pylist()
    unknown = ("media_start_ns", "media_end_ns", "confidences", "looks", "quiet_reason", "told")
    older = dict.fromkeys(unknown)
    table = pa.Table.from_pylist([row | older], schema=TABLES["windows"])
    assert windows.window_results(table) == [replace(result, span=TimeRange(1_000, 5_001_000))]


boxes = st.builds(Box, at_ns=stored_instants_ns, x0=floats32, y0=floats32, x1=floats32, y1=floats32)
parts = st.builds(
    Part, video_id=texts, uri=texts, span=stored_utc_ranges, media=stored_media_ranges
)


@st.composite
def whole_events(draw):
    """An event of one file, or one that is made of pieces of several."""
    camera, label = draw(texts), draw(texts)
    pieces = [
        Event(
            event_id=draw(texts), camera=camera, span=part.span, label=label, text=draw(texts),
            confidence=draw(st.none() | floats32), verdict=draw(verdicts),
            boxes=tuple(draw(st.lists(boxes, max_size=2))),
            fields=tuple(draw(maps).items()), parts=(part,), window_ids=draw(ids),
        )
        for part in draw(st.lists(parts, min_size=1, max_size=3))
    ]  # fmt: skip
    if len(pieces) == 1:
        return pieces[0]
    return replace(
        pieces[0],
        span=draw(stored_utc_ranges),
        text=draw(texts),
        confidence=draw(st.none() | floats32),
        verdict=draw(verdicts),
        boxes=sum((piece.boxes for piece in pieces), ()),
        parts=tuple(piece.parts[0] for piece in pieces),
        window_ids=sum((piece.window_ids for piece in pieces), ()),
        joined=tuple(pieces),
    )


@given(st.lists(whole_events(), max_size=2))
def test_events_come_back_with_what_each_file_shows_of_them(made):
    table = stored("events", events.events_table(made, PROVENANCE))
    assert events.events_of_table(table) == made


@given(
    st.lists(
        st.builds(
            Segment,
            segment_id=texts,
            camera=texts,
            video_id=texts,
            uri=texts,
            level=st.sampled_from(["window", "video"]),
            span=stored_utc_ranges,
            media=stored_media_ranges,
            text=texts,
            window_ids=ids,
        ),
        max_size=3,
    )
)
def test_segments_come_back(made):
    table = stored("segments", segments.segments_table(made, PROVENANCE))
    assert list(map(segments.COLUMNS.reader({"": Segment}), table.to_pylist())) == made


sentences = st.builds(Line, span=stored_utc_ranges, text=texts, sources=ids)
notes = st.builds(WrittenNote, kind=st.sampled_from(NOTE_KINDS), owner=texts, due=texts)


@given(
    st.lists(
        st.builds(
            Summary,
            summary_id=texts,
            level=st.sampled_from([*SUMMARY_LEVELS, "minutes"]),
            camera=texts,
            video_id=texts,
            uri=texts,
            span=stored_utc_ranges,
            title=texts,
            sentences=st.lists(sentences, max_size=3).map(tuple),
            method=st.sampled_from(["model", "extractive"]),
            error=texts,
            inputs_id=texts,
            num_prompt_tokens=counts,
            num_output_tokens=counts,
            notes=st.lists(notes, max_size=3).map(tuple),
            num_dropped=st.none() | counts,
        ),
        max_size=3,
    ),
    st.none() | instants_ns,
)
def test_summaries_come_back_whether_they_are_of_a_file_or_of_a_day(made, clock_start_ns):
    starts_ns = {} if clock_start_ns is None else {one.video_id: clock_start_ns for one in made}
    table = stored("summaries", summaries.summaries_table(made, starts_ns, PROVENANCE))
    assert summaries.summaries_of_table(table) == made
    is_of_file = clock_start_ns is not None
    assert all((start is not None) == is_of_file for start in table["media_start"].to_pylist())


@given(
    st.lists(
        st.builds(
            Run,
            run_id=texts,
            state=st.sampled_from(["running", "done", "lost"]),
            start=instants,
            end=st.none() | instants,
            heartbeat_at=instants,
            host=texts,
            pid=counts,
            process=texts,
            job_id=st.none() | texts,
            job_metadata=maps,
            task=texts,
            fingerprint=texts,
            version=texts,
            keep=st.booleans(),
            cameras=ids,
            shard=st.none() | texts,
            exit_code=st.none() | st.integers(0, 255),
            figures=st.builds(
                RunFigures, **{field.name: counts for field in fields(RunFigures)}
                | {"decode_cpu_s": figures, "gpu_s": figures},
            ),
            error=texts,
        ),
        max_size=3,
    )
)  # fmt: skip
def test_runs_come_back(made):
    table = stored("runs", runs.runs_table(made))
    assert runs.runs_of_table(table) == made


microseconds = st.none() | instants_ns.map(lambda ns: ns // 1000)


@given(
    st.builds(
        Erasure,
        erasure_id=texts,
        asked_at=instants,
        reason=st.sampled_from(["command", "retention"]),
        scope=st.builds(
            Scope,
            videos=ids,
            known_videos=ids.map(frozenset),
            cameras=st.builds(Cameras, exact=ids, globs=ids),
            span=st.builds(Span, start_us=microseconds, end_us=microseconds),
        ),
        rows=st.dictionaries(texts, counts, max_size=3),
        waits_for=st.none() | ids,
        applied_at=st.none() | instants,
    )
)
def test_orders_to_erase_come_back(made):
    table = stored("erasures", erasures.COLUMNS.table([made]))
    [row] = table.to_pylist()
    assert erasures.COLUMNS.reader({"": Erasure, **SCOPE_MAKERS})(row) == made
    assert Scope.of_order(row) == made.scope
    assert row["state"] == ("ordered" if made.applied_at is None else "applied")


corrections = st.builds(
    ClockCorrection,
    offset_ns=st.integers(-YEAR_NS, YEAR_NS),
    rate_ppb=st.integers(-(10**6), 10**6),
)


@given(
    video=st.builds(
        Video,
        video_id=texts,
        content_id=texts,
        uri=texts,
        num_bytes=st.integers(0, 2**63 - 1),
        etag=texts,
        camera=texts,
        clock=st.sampled_from(["path", "sidecar", "creation_time", "mtime", "none"]),
        start_ns=instants_ns,
        stream_index=st.just(0),
        codec=texts,
        width=counts,
        height=counts,
        rotation=st.sampled_from([0, 90, 180, 270]),
        time_base=st.fractions(min_value=Fraction(1, 10**6), max_value=1),
        origin_pts=st.integers(-(2**63), 2**63 - 1),
        footage=st.tuples(media_ranges),
        yielded=st.lists(
            st.builds(Yielded, span=media_ranges, uri=texts, video_id=texts), max_size=2
        ).map(tuple),
        num_frames=st.integers(0, 2**63 - 1),
        num_keyframes=st.just(0),
        correction=corrections,
        warnings=ids,
    ),
    error=st.none() | texts,
    at=instants,
)
def test_a_video_comes_back_from_its_row_once_its_footage_is_known(video, error, at):
    indexed = videos.IndexedVideo(video=video, status="done", num_shards=1, results=(), error=error)
    row = videos.video_row(indexed, provenance=PROVENANCE, at=at)
    table = stored("videos", videos.videos_table([row]))
    [read] = table.to_pylist()
    assert videos.video_of_row(read, video.footage) == replace(video, yielded=())
    assert read["error"] == (error or "")
    assert read["indexed_at"] == at
    assert read["config"] == "{}"


def test_a_row_of_a_video_counts_its_windows_and_says_what_it_yielded():
    answered = WindowResult(
        window_id="w", shard_id="s", video_id="v", span=TimeRange(0, NS_PER_S), status="analysed",
        frame_pts=(0,), num_prompt_tokens=7, num_output_tokens=3, decode_cpu_s=0.5, engine_s=2.0,
    )  # fmt: skip
    failed = replace(answered, status="failed", error="no answer")
    given_away = Yielded(span=TimeRange(0, 2 * NS_PER_S), uri="other.mp4", video_id="other")
    indexed = videos.IndexedVideo(
        video=a_video(footage=(TimeRange(0, 10 * NS_PER_S),), yielded=(given_away,)),
        status="partial", num_shards=2, results=(answered, failed, failed), num_events=4,
    )  # fmt: skip
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    row = videos.video_row(indexed, provenance=PROVENANCE, at=epoch)
    assert {name: row[name] for name in row if name.startswith("num_windows")} == {
        "num_windows_analysed": 1, "num_windows_quiet": 0, "num_windows_failed": 2,
    }  # fmt: skip
    assert (row["num_prompt_tokens"], row["num_output_tokens"]) == (21, 9)
    assert (row["decode_cpu_s"], row["engine_s"], row["error"]) == (1.5, 6.0, "no answer")
    assert (row["video_s"], row["overlap_s"]) == (8.0, 2.0)
    [left] = row["footage"]
    [yielded] = row["yielded"]
    assert left == {"start": epoch + timedelta(seconds=2), "end": epoch + timedelta(seconds=10)}
    assert (yielded["end"], yielded["to_uri"]) == (left["start"], "other.mp4")


@given(start_ns=st.none() | instants_ns, error=texts)
def test_a_file_that_cannot_be_read_has_a_row_without_unknown_columns(start_ns, error):
    source = Source(
        uri="a.mp4", num_bytes=3, etag="e", camera="gate", start_ns=start_ns, clock="path"
    )
    at = datetime(2026, 1, 1, tzinfo=UTC)
    made = videos.failed_video_row(source, error, provenance=PROVENANCE, at=at)
    [row] = stored("videos", videos.videos_table([made])).to_pylist()
    assert row["start"] == row["clock_start"] == ns_to_datetime(start_ns or 0)
    assert row["end"] - row["start"] == timedelta(microseconds=1)
    assert row["date"] == row["start"].date()
    assert (row["status"], row["error"], row["num_bytes"]) == ("failed", error, 3)
    assert row["footage"] == row["yielded"] == []
    assert {name for name, value in row.items() if value is None} == {
        "clock_start_ns", "origin_pts", "zones_id", "num_slides",
        "num_utterances", "has_clock_jumps", "copies",
        "deck_uri", "deck_etag", "deck_pages", "erased",
    }  # fmt: skip
