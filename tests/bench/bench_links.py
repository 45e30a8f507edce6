"""``python -m tests.bench.bench_links``: which page is on the screen, and which is spoken of.

Recordings of generated decks are watched and their words read by RapidOCR, with a PDF of the deck
beside them; two pages of each deck are never shown. What is said is generated text with exact
times, English or Chinese over an English deck: small talk, and sentences about a page by its
number, its title, or words and the figure of a line, of which a tenth is lost. A sentence begins
and ends whatever is on the screen; a third are about another page.
"""

import random
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from pipeline.demo.deck import make_pages, write_recording
from pipeline.demo.deck_file import write_pdf
from pipeline.flow.task.deck import with_deck
from pipeline.meetings.pages import meaning
from pipeline.minutes import Meaning, Pages, pages_on_screen
from pipeline.records import DeckPage, Slide
from pipeline.slides import slides_of_video
from tests.bench.bench_decks import READING
from tests.bench.bench_slides import FIRST_SEED
from tests.decks import look_at
from tests.talk import Language, Told, talk_over

_LANGUAGES: Mapping[Language, str] = {"en": "English", "zh": "Chinese"}


def main(meetings: Annotated[int, typer.Option(min=1, help="How many meetings.")] = 10) -> None:
    """Print a row for each language, with and without what tells the meaning of words."""
    signs: dict[str, Meaning | None] = {"numbers and words": None}
    if (told := meaning()) is not None:
        signs["and meaning"] = told
    right: dict[tuple[Language, str], Counter[tuple[str, bool]]] = {}
    for seed in range(FIRST_SEED, FIRST_SEED + meetings):
        with tempfile.TemporaryDirectory() as folder:
            for key, counts in _meeting(Path(folder) / "meeting.mp4", seed, signs).items():
                right.setdefault(key, Counter()).update(counts)
        typer.echo(f"meeting {seed}", err=True)
    typer.echo("| speech | signs | page on screen | other page spoken of | no other page |")
    typer.echo("|---|---|---|---|---|")
    for (language, sign), counts in right.items():
        shares = (
            f"{counts[kind, True]} of {counts[kind, True] + counts[kind, False]}"
            for kind in ("shown", "other", "same")
        )
        typer.echo(f"| {_LANGUAGES[language]} | {sign} | {' | '.join(shares)} |")


def _meeting(
    path: Path, seed: int, signs: Mapping[str, Meaning | None]
) -> dict[tuple[Language, str], Counter[tuple[str, bool]]]:
    pages = make_pages(seed, english=True)
    truth = write_recording(pages, path, seed, _order(len(pages), seed))
    write_pdf(pages, path.with_suffix(".pdf"))
    video, results = look_at(path, READING)
    video = with_deck(video, READING)
    slides = slides_of_video(video, results, task="t")
    return {
        (language, sign): _right(talk_over(truth, seed, language), slides, video.deck.pages, how)
        for language in _LANGUAGES
        for sign, how in signs.items()
    }


def _order(num_pages: int, seed: int) -> list[int]:
    """All pages but two, and one of the first ones again."""
    chance = random.Random(seed)
    left_out = chance.sample(range(2, num_pages + 1), 2)
    order = [number for number in range(1, num_pages + 1) if number not in left_out]
    return [*order[:7], order[1], *order[7:]]


def _right(
    told: list[Told], slides: list[Slide], deck: tuple[DeckPage, ...], how: Meaning | None
) -> Counter[tuple[str, bool]]:
    """How many pages are right and wrong: on the screen, of those about another page, and others.

    A page that is spoken of is wrong if it has no number of the deck.
    """
    utterances = [one.utterance for one in told]
    shown = pages_on_screen(utterances, slides)
    topics = Pages(slides, deck, how).topics(utterances, shown)
    counts: Counter[tuple[str, bool]] = Counter()
    for one in told:
        slide, topic = (found.get(one.utterance.utterance_id) for found in (shown, topics))
        counts["shown", slide is not None and slide.deck_page == one.on_screen] += 1
        if one.about == one.on_screen:
            counts["same", topic is None] += 1
        else:
            counts["other", topic is not None and topic.deck_page == one.about] += 1
    return counts


if __name__ == "__main__":
    typer.run(main)
