"""Joins the views of windows into slides, over windows and shards. Pure.

The answer depends on the stored views alone, so a run that was killed and started again, and a
repair, give the same slides.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pipeline.records import PageView, Slide, Video, WindowResult, make_id
from pipeline.slides.deck import with_deck_pages
from pipeline.slides.picture import Still, change_between, decode, ink
from pipeline.slides.watch import HOLD_NS
from pipeline.timebase import TimeRange

_SAME_INK_SHARE = 0.5
"""A page that was built up less far has at least so much of the ink of the whole page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """A page on screen without a break; media time."""

    span: TimeRange
    frame_pts: tuple[int, ...]
    still: Still
    picture: str
    text: str
    window_ids: tuple[str, ...]


def showings_of(results: Iterable[WindowResult]) -> list[Showing]:
    """The pages of a video one after the other; what moves or looks like no page is left out."""
    joined: list[Showing] = []
    for window_id, view in ((one.window_id, view) for one in results for view in one.views):
        if not view.picture:
            continue
        showing = _showing(window_id, view)
        last = joined[-1] if joined else None
        if last is not None and last.span.end_ns == showing.span.start_ns:
            change = change_between(last.still, showing.still)
            if change != "new":
                joined[-1] = _joined(last, showing)
                continue
            if last.span.duration_ns < HOLD_NS:
                # What stood for so short a time was on its way to this page.
                joined[-1] = replace(
                    _joined(last, showing), frame_pts=(last.frame_pts[0],), text=showing.text
                )
                continue
        joined.append(showing)
    return joined


def slides_of_video(video: Video, results: Iterable[WindowResult], *, task: str) -> list[Slide]:
    """The slides of one video, ordered by start; the same page has the same number."""
    showings = showings_of(results)
    pages = same_pages(showings)
    slides = [
        Slide(
            slide_id=make_id(video.video_id, task, "slide", one.span.start_ns, one.span.end_ns),
            camera=video.camera,
            video_id=video.video_id,
            uri=video.uri,
            span=video.utc(one.span),
            media=one.span,
            page=page,
            frame_pts=one.frame_pts,
            steps=tuple(video.media_ns(pts) for pts in one.frame_pts[1:]),
            picture=one.picture,
            window_ids=one.window_ids,
            text=one.text,
        )
        for one, page in zip(showings, pages, strict=True)
    ]
    return with_deck_pages(slides, video.deck)


def same_pages(showings: Sequence[Showing]) -> list[int]:
    """A number for each showing, from 1 in the order of appearance; equal for the same page."""
    known: list[Still] = []
    numbers = []
    for one in showings:
        for number, other in enumerate(known):
            if _is_same_page(other, one.still):
                numbers.append(number + 1)
                break
        else:
            known.append(one.still)
            numbers.append(len(known))
    return numbers


def _is_same_page(one: Still, other: Still) -> bool:
    if change_between(one, other) == "same":
        return True
    amounts = sorted(
        int((ink(still.grey) & one.rests & other.rests).sum()) for still in (one, other)
    )
    if amounts[0] < _SAME_INK_SHARE * amounts[1]:
        return False
    return "build" in (change_between(one, other), change_between(other, one))


def _showing(window_id: str, view: PageView) -> Showing:
    return Showing(
        span=view.span,
        frame_pts=view.frame_pts,
        still=decode(view.picture),
        picture=view.picture,
        text=view.text,
        window_ids=(window_id,),
    )


def _joined(first: Showing, second: Showing) -> Showing:
    return replace(
        second,
        span=TimeRange(first.span.start_ns, second.span.end_ns),
        frame_pts=(*first.frame_pts, *second.frame_pts[1:]),
        still=Still(second.still.grey, second.still.rests & first.still.rests)
        if first.still.grey.shape == second.still.grey.shape
        else second.still,
        text=second.text or first.text,
        window_ids=tuple(dict.fromkeys((*first.window_ids, *second.window_ids))),
    )
