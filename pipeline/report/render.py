"""The report as one HTML file. What is not a word of ours is text: nothing in it becomes markup."""

import base64
import hashlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cache
from itertools import islice
from typing import Any

import jinja2
from markupsafe import Markup

from pipeline.export.flow_chart import FlowChart, charts_of
from pipeline.records.sanitize import sanitized
from pipeline.report.content import CameraReport, Report
from pipeline.report.pictures import MAX_PER_CAMERA, within
from pipeline.report.words import WORDS, Language

_LIGHT = ("#3b77bc", "#c77a1d", "#3d8f66", "#a4528e", "#7a6bc2", "#a98a13", "#b8524a", "#55808f")
_DARK = ("#6fa6e3", "#e2a153", "#6fc297", "#d58bc0", "#a99cea", "#d6bb4f", "#e58a80", "#8cb6c4")
_STATES = ("analysed", "quiet", "failed", "pending", "not_analysed", "erased")


def _finished(value: object) -> object:
    """Untrusted text on one line, without characters that turn text around."""
    is_untrusted = isinstance(value, str) and not isinstance(value, Markup)
    return sanitized(str(value)) if is_untrusted else value


@cache
def environment() -> jinja2.Environment:
    """What makes pages of templates."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finished,
    )


def page_style() -> dict[str, str]:
    """The one style that a browser may apply: what else may hold one is text of others."""
    style = environment().get_template("report.css.jinja").render(light=_LIGHT, dark=_DARK)
    return {
        "style": Markup(style),  # noqa: S704 - holds nothing from outside
        "style_hash": base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    }


def page_within(
    report: Report,
    candidates: Sequence[tuple[str, bytes]],
    max_bytes: int,
    *,
    name: str,
    language: Language,
) -> tuple[str, int]:
    """The page with as many pictures as fit into so many bytes, and how many these are."""
    room = max_bytes
    while True:
        pictures = within(candidates, room)
        page = render(report, pictures, name, language)
        excess = len(page.encode()) - max_bytes
        if excess <= 0 or not pictures:
            return page, len(pictures)
        room -= excess


def render(report: Report, pictures: Mapping[str, bytes], name: str, language: Language) -> str:
    """The page; ``pictures`` are WebP by event id, ``name`` is that of the index."""
    reviews = {row["event_id"]: row for row in report.reviews}
    return (
        environment()
        .get_template("report.html.jinja")
        .render(
            **page_style(),
            report=report,
            pictures={key: base64.b64encode(webp).decode() for key, webp in pictures.items()},
            reviews=reviews,
            name=name,
            word=WORDS[language],
            language=language,
            states=_STATES,
            ticks=report.axis.ticks(),
            period=report.axis.days(),
            facts=_facts(report, reviews),
            clock=_clock(report),
            charts_of=_flow_charts,
            quoted=shlex.quote,
            length=lambda start, end: _lasting((end - start).total_seconds()),
            lasting=_lasting,
        )
    )


def _flow_charts(camera: CameraReport) -> Iterator[tuple[Mapping[str, Any], FlowChart]]:
    """The first charts on boards, each with its event."""
    found = ((event, chart) for event in camera.events for chart in charts_of(event))
    return islice(found, MAX_PER_CAMERA)


def _facts(report: Report, reviews: Mapping[str, Any]) -> list[tuple[str, str]]:
    footage_s = sum(camera.footage_s for camera in report.cameras)
    return [
        ("cameras", f"{len(report.cameras)}"),
        ("recordings", f"{sum(camera.num_videos for camera in report.cameras)}"),
        ("footage", _lasting(footage_s)),
        ("events", f"{sum(1 for _ in report.events)}"),
        ("reviewed", f"{len(reviews)}"),
        ("bad_files", f"{len(report.bad_files)}"),
    ]


def _clock(report: Report) -> Any:  # noqa: ANN401 - a function for the template
    """How times are written: with their date, and their year, where the period has several."""
    lasts = report.axis.end - report.axis.start
    form = "%H:%M:%S" if lasts <= timedelta(days=1) else "%m-%d %H:%M:%S"
    if lasts > timedelta(days=365):
        form = f"%Y-{form}"
    return lambda at: at.strftime(form)


def _lasting(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds:.1f} s"
    if seconds < 90:  # noqa: PLR2004
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"  # noqa: PLR2004
