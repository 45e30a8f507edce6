"""Cuts as an edit list that editing programs open: OpenTimelineIO, or an EDL (CMX 3600)."""

from collections import Counter
from collections.abc import Sequence
from math import ceil, floor
from typing import TYPE_CHECKING, Any

from pipeline.errors import ConfigError
from pipeline.records import Cut, Video
from pipeline.records.sanitize import escaped_json, sanitized
from pipeline.storage.targets import staged
from pipeline.timebase import NS_PER_S, TimeRange, ns_to_datetime

if TYPE_CHECKING:
    import opentimelineio

SUFFIXES = (".otio", ".edl")
_USUAL_RATES = (24000 / 1001, 24, 25, 30000 / 1001, 30, 50, 60000 / 1001, 60)
_RATE_TOLERANCE = 0.0005


def write_edit_list(target: str, cuts: Sequence[Cut]) -> None:
    """Write the cuts, one after the other, as one track.

    OpenTimelineIO keeps their times exactly, and says what they show in ``metadata["timereel"]``.
    An EDL has whole frames of one rate, that of most files or the next that a time code can count;
    none of a cut is lost.

    Raises:
        ConfigError: the suffix is neither .otio nor .edl, or opentimelineio is not installed.
        TargetError: the file cannot be written.
    """
    if not target.lower().endswith(SUFFIXES):
        raise ConfigError(f"{target}: an edit list ends with .otio or .edl")
    try:
        import opentimelineio as otio  # noqa: PLC0415 - an extra
    except ImportError as exc:
        raise ConfigError("edit lists need opentimelineio: pip install '.[exchange]'") from exc
    timeline = otio.schema.Timeline(name="timereel")
    track = otio.schema.Track(name="V1", kind=otio.schema.TrackKind.Video)
    timeline.tracks.append(track)
    if target.lower().endswith(".edl"):
        most = Counter(frame_rate(cut.video) for cut in cuts).most_common(1)[0][0]
        # A time code counts no other rates, such as the 12.5 of many cameras.
        rate = min((rate for rate in _USUAL_RATES if rate >= most), default=_USUAL_RATES[-1])
        track.extend(
            _clip(otio, number, cut, _whole_frames(otio, cut.media, rate))
            for number, cut in enumerate(cuts, start=1)
        )
        for clip in track:  # a line break in a location would begin a line of the list
            clip.media_reference.target_url = sanitized(clip.media_reference.target_url)
        text = otio.adapters.write_to_string(timeline, "cmx_3600", rate=rate)
    else:
        track.extend(
            _clip(otio, number, cut, _range(otio, cut.media, frame_rate(cut.video)))
            for number, cut in enumerate(cuts, start=1)
        )
        text = escaped_json(timeline.to_json_string())
    with staged(target) as path:
        path.write_text(text, encoding="utf-8")


def frame_rate(video: Video) -> float:
    """Frames per second: a usual rate where the file is near one."""
    length_s = sum(span.duration_ns for span in video.footage) / NS_PER_S
    measured = video.num_frames / length_s if length_s else 1.0
    nearest = min(_USUAL_RATES, key=lambda rate: abs(rate - measured))
    is_near = abs(nearest - measured) <= _RATE_TOLERANCE * nearest
    return nearest if is_near else max(1.0, round(measured, 3))


def _clip(
    otio: "opentimelineio", number: int, cut: Cut, source_range: "opentimelineio.opentime.TimeRange"
) -> "opentimelineio.schema.Clip":
    video, utc = cut.video, cut.utc
    name = sanitized(video.uri.rsplit("/", 1)[-1])
    about: dict[str, Any] = {
        "camera": video.camera,
        "events": list(cut.event_ids),
        "start": ns_to_datetime(utc.start_ns).isoformat(),
        "end": ns_to_datetime(utc.end_ns).isoformat(),
        "video_id": video.video_id,
        "media_start_ns": cut.media.start_ns,
        "media_end_ns": cut.media.end_ns,
    }
    return otio.schema.Clip(
        name=name,
        source_range=source_range,
        media_reference=otio.schema.ExternalReference(
            target_url=video.uri,
            available_range=_range(otio, video.span, source_range.start_time.rate),
        ),
        # A reel of other characters is written without quotes, and read as something else.
        metadata={"timereel": about, "cmx_3600": {"reel": f"R{number:07d}"}},
    )


def _range(
    otio: "opentimelineio", span: TimeRange, rate: float
) -> "opentimelineio.opentime.TimeRange":
    start, length = (ns / NS_PER_S * rate for ns in (span.start_ns, span.duration_ns))
    time = otio.opentime.RationalTime
    return otio.opentime.TimeRange(time(start, rate), time(length, rate))


def _whole_frames(
    otio: "opentimelineio", span: TimeRange, rate: float
) -> "opentimelineio.opentime.TimeRange":
    first, end = floor(span.start_ns / NS_PER_S * rate), ceil(span.end_ns / NS_PER_S * rate)
    time = otio.opentime.RationalTime
    return otio.opentime.TimeRange(time(first, rate), time(end - first, rate))
