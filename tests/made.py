"""Records with plain values, for tests that care about one or two of them."""

from dataclasses import replace
from fractions import Fraction

from pipeline.records import Video
from pipeline.timebase import NS_PER_S, TimeRange

_VIDEO = Video(
    video_id="v",
    content_id="c",
    uri="v.mp4",
    num_bytes=1,
    etag="",
    camera="cam",
    clock="none",
    start_ns=0,
    stream_index=0,
    codec="h264",
    width=640,
    height=360,
    rotation=0,
    time_base=Fraction(1, 1000),
    origin_pts=0,
    footage=(TimeRange(0, 1000 * NS_PER_S),),
    num_frames=1000,
    num_keyframes=1,
)


def a_video(**changes) -> Video:
    """A video of 1000 s with ticks of a millisecond."""
    return replace(_VIDEO, **changes)
