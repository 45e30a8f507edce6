"""``python -m jobs.render_demo --out DIR``: a small archive of the demo world, and its truth."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.demo.archive import demo_recordings, write_archive


def main(
    out: Annotated[Path, typer.Option(help="Folder for the videos and truth.json.")],
    seed: Annotated[int, typer.Option(help="Another seed is another archive.")] = 5,
    cameras: Annotated[int, typer.Option(min=1, help="Five minutes each.")] = 2,
) -> None:
    """Render cameras with gaps, quiet stretches and an event over a file border."""
    for path in write_archive(out, demo_recordings(seed, num_cameras=cameras)):
        typer.echo(str(path))


if __name__ == "__main__":
    typer.run(main)
