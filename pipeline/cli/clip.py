"""``timereel clip``: cuts events, or a time of a camera, out of the recordings."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import (
    CameraOption,
    ConfigOption,
    FromOption,
    IndexOption,
    SetOption,
    ToOption,
)
from pipeline.cli.terminal import echo
from pipeline.errors import EXIT_INTERRUPTED, EXIT_SOME_FAILED, ConfigError
from pipeline.index import open_index
from pipeline.timebase import seconds_to_ns

if TYPE_CHECKING:
    from pipeline.clips.make import Clip
    from pipeline.media.clip import OnProgress

app = typer.Typer()

CopyOption = Annotated[
    bool, typer.Option("--copy/--exact", help="From keyframes, with no picture encoded.")
]
BurnOption = Annotated[
    bool, typer.Option("--burn-time", help="Write camera and UTC on each picture.")
]


@app.command()
def clip(
    out: Annotated[
        str,
        typer.Argument(help="A file .mp4 or .mkv, or a folder for one file per event; or a URL."),
    ],
    index_uri: IndexOption,
    event: Annotated[
        list[str] | None, typer.Option("--event", help="Id of an event; may be repeated.")
    ] = None,
    start: FromOption = None,
    end: ToOption = None,
    camera: CameraOption = None,
    label: Annotated[list[str] | None, typer.Option("--label", help="Events of a label.")] = None,
    text: Annotated[
        str | None, typer.Option("--text", help="Events with this in their text.")
    ] = None,
    min_confidence: Annotated[
        float | None, typer.Option("--min-confidence", help="Events that are as sure.")
    ] = None,
    pad: Annotated[
        float, typer.Option("--pad", metavar="S", min=0, max=3600, help="Seconds around events.")
    ] = 0.0,
    join: Annotated[bool, typer.Option("--join", help="All in one file, by time.")] = False,  # noqa: FBT002
    copy: CopyOption = False,  # noqa: FBT002
    burn_time: BurnOption = False,  # noqa: FBT002
    config: ConfigOption = None,
    overrides: SetOption = None,
) -> None:
    """Cut footage exact to the frame: events, or all that cameras have of a time."""
    from pipeline.clips import make, plan, ranges  # noqa: PLC0415 - a query needs none of it
    from pipeline.config import load_config  # noqa: PLC0415

    if copy and burn_time:
        raise ConfigError("--copy encodes no picture, so no time can be written; leave one out")
    settings = load_config(config, tuple(overrides or ()))
    index = open_index(index_uri)
    if event or label or text or min_confidence is not None:
        rows = plan.events_of(
            index,
            event,
            start,
            end,
            camera=camera,
            label=label,
            text=text,
            min_confidence=min_confidence,
        )
        wanted = ranges.around_events(rows, seconds_to_ns(pad))
    else:
        wanted = plan.times_of(index, start, end, camera, pad_ns=seconds_to_ns(pad))
    orders = plan.orders(index, wanted, out, join=join)
    how = make.How(
        mode="copy" if copy else "exact",
        is_captioned=burn_time,
        decode=settings.decode,
        access=settings.sources.access,
    )
    try:
        with _shown_progress(len(orders)) as on_progress:
            clips, failures = make.make_clips(orders, how, on_progress)
        make.write_receipts(out, clips, failures, {"index": index.store.root, "mode": how.mode})
    except KeyboardInterrupt:
        echo(
            f"interrupted: no receipt of {out} was written, and no part of a clip is left", err=True
        )
        raise typer.Exit(EXIT_INTERRUPTED) from None
    for one in clips:
        _tell(one)
    for target, error in failures:
        echo(f"{target}: not made: {error}", err=True)
    if failures:
        raise typer.Exit(EXIT_SOME_FAILED)


def _tell(one: "Clip") -> None:
    num_frames = sum(part.num_frames for part in one.parts)
    num_copied = sum(part.num_copied for part in one.parts)
    num_missing = sum(part.num_missing for part in one.parts)
    sound = "with sound" if any(part.has_sound for part in one.parts) else "no sound"
    echo(
        f"{one.target}: {one.duration_s:.3f} s, {num_frames} frames, of which {num_copied} copied"
        + (f" and {num_missing} missing" if num_missing else "")
        + f", {sound}"
    )
    for part in one.parts:
        before_ns = part.cut.media.start_ns - part.media.start_ns
        after_ns = part.media.end_ns - part.cut.media.end_ns
        if before_ns or after_ns:
            echo(
                f"  {part.cut.video.uri}: begins {before_ns / 1e9:.3f} s earlier and ends"
                f" {after_ns / 1e9:.3f} s later than asked, since nothing was encoded"
            )


@contextmanager
def _shown_progress(num_clips: int) -> "Iterator[OnProgress]":
    if not sys.stderr.isatty():
        yield lambda _written_s, _all_s: None
        return
    from rich.console import Console  # noqa: PLC0415 - only on a terminal
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("cutting" if num_clips == 1 else f"cutting {num_clips} clips")

        def show(written_s: Fraction, all_s: Fraction) -> None:
            progress.update(bar, completed=float(written_s), total=float(all_s))

        yield show
