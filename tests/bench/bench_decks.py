"""``python -m tests.bench.bench_decks``: how often pages that are shown get their deck numbers.

The recordings are those of ``tests.bench.bench_slides``, whose words are read by RapidOCR. The deck
beside them is a scan (pictures as shown, without words), a PDF with words in another font and at
other places, or a file for PowerPoint.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from pipeline.config.run import SlidesConfig
from pipeline.demo.deck import ShownDeck, make_pages, write_recording
from pipeline.demo.deck_file import write_pdf, write_pictures_pdf, write_pptx
from pipeline.flow.task.deck import with_deck
from pipeline.records import Slide
from pipeline.slides import slides_of_video
from tests.bench.bench_slides import FIRST_SEED
from tests.decks import CONFIG, look_at

READING = CONFIG.model_copy(update={"slides": SlidesConfig(read_text=True)})
"""Looks at pages and reads their words."""
_KINDS = {
    "scan": (write_pictures_pdf, ".pdf"),
    "PDF with words": (write_pdf, ".pdf"),
    "PowerPoint": (write_pptx, ".pptx"),
}


def main(decks: Annotated[int, typer.Option(min=1, help="How many decks.")] = 12) -> None:
    """Print a row for each deck, and the share of right numbers over all."""
    typer.echo(f"| deck | shown | {' | '.join(_KINDS)} | no number |")
    typer.echo("|---|---|---|---|---|---|")
    totals = dict.fromkeys(_KINDS, 0)
    num_shown = 0
    for number in range(decks):
        alike = number % 4 >= 2
        right, shown, unknown = _right_numbers(FIRST_SEED + number, alike=alike)
        num_shown += shown
        for kind, num in right.items():
            totals[kind] += num
        name = f"{FIRST_SEED + number}{', pages alike' if alike else ''}"
        typer.echo(f"| {name} | {shown} | {' | '.join(map(str, right.values()))} | {unknown} |")
    shares = (f"{kind} {num / num_shown:.3f}" for kind, num in totals.items())
    typer.echo(f"\nRight numbers, of {num_shown} pages shown: {', '.join(shares)}")


def _right_numbers(seed: int, *, alike: bool) -> tuple[dict[str, int], int, int]:
    """By kind of deck the slides with the right number; all slides; numbers that are missing."""
    pages = make_pages(seed, alike=alike)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "meeting.mp4"
        truth = write_recording(pages, path, seed)
        video, results = look_at(path, READING)
        right, unknown, slides = {}, 0, list[Slide]()
        for kind, (write, suffix) in _KINDS.items():
            deck = path.with_suffix(suffix)
            write(pages, deck)
            slides = slides_of_video(with_deck(video, READING), results, task="t")
            deck.unlink()
            right[kind] = sum(one.deck_page == _page_at(one, truth) for one in slides)
            unknown += sum(one.deck_page is None for one in slides)
    return right, len(slides), unknown


def _page_at(slide: Slide, truth: ShownDeck) -> int:
    """What is shown in the middle of the time of a slide."""
    middle_s = (slide.media.start_ns + slide.media.end_ns) / 2e9
    shown = truth.showings
    return next((one.page for one in shown if one.start_s <= middle_s < one.end_s), 0)


if __name__ == "__main__":
    typer.run(main)
