"""``python -m tests.bench.bench_slides``: how well changes of page are found on generated decks.

Every other deck has a webcam; half of the decks have pages that differ in one line or in numbers.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from pipeline.demo.deck import make_pages, write_recording
from pipeline.slides import slides_of_video
from tests.decks import MATCH_S, DeckScore, look_at, score

FIRST_SEED = 101
"""The decks of the tests have other seeds."""


def main(
    decks: Annotated[int, typer.Option(min=1, help="How many decks.")] = 12,
) -> None:
    """Print a row for each deck, and recall and precision over all."""
    typer.echo("| deck | changes | found | claimed | mean error | right page of the time |")
    typer.echo("|---|---|---|---|---|---|")
    scores = []
    for number in range(decks):
        alike = number % 4 >= 2
        got = _score(FIRST_SEED + number, alike=alike)
        scores.append(got)
        name = f"{FIRST_SEED + number}{', pages alike' if alike else ''}"
        typer.echo(
            f"| {name} | {got.num_changes} | {got.num_found} | {got.num_claimed}"
            f" | {got.mean_error_s:.2f} s | {got.right_page_share:.1%} |"
        )
    found = sum(one.num_found for one in scores)
    changes, claimed = (
        sum(getattr(one, name) for one in scores) for name in ("num_changes", "num_claimed")
    )
    worst_s = max(error for one in scores for error in one.errors_s)
    typer.echo(f"\nRecall {found / changes:.3f}, precision {found / max(1, claimed):.3f}")
    typer.echo(
        f"A slide begins within {MATCH_S:g} s of a change; the worst error is {worst_s:.2f} s."
    )


def _score(seed: int, *, alike: bool) -> DeckScore:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "meeting.mp4"
        truth = write_recording(make_pages(seed, alike=alike), path, seed)
        return score(slides_of_video(*look_at(path), task="t"), truth)


if __name__ == "__main__":
    typer.run(main)
