"""Recordings of generated decks, looked at as a run does it, without Ray."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import Config
from pipeline.demo.deck import ShownDeck
from pipeline.engine import open_shards
from pipeline.flow.task.stages import Planned, answer_shard, decode_and_gate, probe_and_plan
from pipeline.records import Slide, Video, WindowResult
from tests.videos import source_of

CONFIG = Config.model_validate(
    {
        "sample": {"fps": 2},
        "frame": {"luma_width": 320},
        "plan": {"max_window_frames": 64},
        "slides": {},
        "evidence": {"pictures": False},
    }
)
MATCH_S = 2.0
"""A change of page is found if a slide begins so near to it."""


def look_at(path: Path, config: Config = CONFIG) -> tuple[Video, tuple[WindowResult, ...]]:
    """The results of all windows of a recording, by start."""
    planned = probe_and_plan(source_of(path), config)
    assert isinstance(planned, Planned), planned
    results = [
        result
        for shard in planned.shards
        for result in answer_shard(decode_and_gate(shard, config), config, open_shards(config))
    ]
    assert all(isinstance(result, WindowResult) for result in results)
    return planned.video, tuple(sorted(results, key=lambda result: result.span))


@dataclass(frozen=True, kw_only=True)
class DeckScore:
    """How well the changes of page were found, and whether pages were told apart."""

    num_changes: int
    num_found: int
    num_claimed: int
    errors_s: tuple[float, ...]
    """How far the starts are from the truth."""
    right_page_share: float
    """Of the time, where each page counts as the number that it has for most of its time."""

    @property
    def mean_error_s(self) -> float:
        """Of the starts that were found."""
        return sum(self.errors_s) / max(1, len(self.errors_s))


def score(slides: Iterable[Slide], truth: ShownDeck, *, numbered: bool = False) -> DeckScore:
    """Compare slides with what was shown; ``numbered`` if pages have their numbers in the deck."""
    slides = list(slides)
    claimed = [slide.media.start_ns / 1e9 for slide in slides][1:]
    changes = [showing.start_s for showing in truth.showings][1:]
    errors, unused = [], list(claimed)
    for change in changes:
        nearest = min(unused, key=lambda start: abs(start - change), default=None)
        if nearest is not None and abs(nearest - change) <= MATCH_S:
            errors.append(abs(nearest - change))
            unused.remove(nearest)
    overlaps: dict[tuple[int, int], float] = {}
    for showing in truth.showings:
        for slide in slides:
            start = max(showing.start_s, slide.media.start_ns / 1e9)
            end = min(showing.end_s, slide.media.end_ns / 1e9)
            if end > start:
                key = showing.page, slide.page
                overlaps[key] = overlaps.get(key, 0.0) + end - start
    right = 0.0
    for page in {page for page, _ in overlaps}:
        shares = {number: time for (of, number), time in overlaps.items() if of == page}
        mine = page if numbered else max(shares, key=lambda number: shares[number])
        is_shared = not numbered and any(
            time > shares[mine] for (of, number), time in overlaps.items() if number == mine
        )
        right += 0.0 if is_shared else shares.get(mine, 0.0)
    return DeckScore(
        num_changes=len(changes),
        num_found=len(errors),
        num_claimed=len(claimed),
        errors_s=tuple(errors),
        right_page_share=right / truth.showings[-1].end_s,
    )
