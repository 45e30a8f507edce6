"""``python -m jobs.render_demo --out DIR``: a small archive of the demo world, and its truth."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.demo.archive import VideoForm, demo_recordings, needle_recording, write_archive


def main(
    out: Annotated[Path, typer.Option(help="Folder for the videos and truth.json.")],
    seed: Annotated[int, typer.Option(help="Another seed gives another archive.")] = 5,
    cameras: Annotated[int, typer.Option(min=1, help="Five minutes each.")] = 2,
    needles: Annotated[
        int, typer.Option(min=0, help="Instead: two hours of one camera with this many events.")
    ] = 0,
) -> None:
    """Render cameras with gaps, quiet stretches and an event over a file border."""
    form = VideoForm(fps=5 if needles else 10)
    recordings = (
        [needle_recording(seed, num_needles=needles, form=form)]
        if needles
        else demo_recordings(seed, num_cameras=cameras, form=form)
    )
    for path in write_archive(out, recordings, form):
        typer.echo(str(path))


if __name__ == "__main__":
    typer.run(main)
