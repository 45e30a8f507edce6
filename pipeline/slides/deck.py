"""Finds the pages of a deck among what a recording shows: by how they look, and by their words.

A recording shows a page through another program, with other fonts, a webcam over it and coding
noise, and a reader of its words loses spaces. So pictures are compared by where something is
written, and words by letters in a row. Pure.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from pipeline.records import Deck, DeckPage, Slide
from pipeline.slides.picture import Grey, decode, without_bars
from pipeline.timebase import BoolArray

_SIZE = (160, 90)
"""Width and height in which pictures are compared."""
_BLUR_PIXELS = 1
"""How far other fonts and programs move what is written."""
_LEAST_SCORE = 0.6
"""Of a page that is shown, where words are compared. It was 0.71 or more on generated decks, and of
other pages 0.53 or less unless they share most lines."""
_LEAST_LOOKS = 0.85
"""Of a page of which only the looks are compared: 0.91 or more where recording and deck were drawn
by the same program. With other fonts they are less alike, and tell no pages apart."""
_ALIKE = 0.001
"""Pages whose scores differ by less look and read the same; what is shown tells none of them."""
_NO_LETTER = re.compile(r"[\W_]+")
_SCRIPT = re.compile(r"[\u3400-\u9fff]+|[^\u3400-\u9fff]+")

Strokes = npt.NDArray[np.float64]
"""How much is written where, [h, w]."""


def with_deck_pages(slides: Iterable[Slide], deck: Deck) -> list[Slide]:
    """The slides, each with the page of the deck that it shows, as far as that can be told."""
    pages = _Pages(deck.pages)
    found: list[Slide] = []
    last = 0
    for slide in slides:
        found.append(pages.found(slide, last))
        last = found[-1].deck_page or last
    return found


class _Pages:
    def __init__(self, pages: Sequence[DeckPage]) -> None:
        self._pages = pages
        self._strokes = [
            _strokes(decode(page.picture).grey) if page.picture else None for page in pages
        ]
        letters = [_letters(page.text) for page in pages]
        num_with = Counter(row for counts in letters for row in counts)
        self._weights = {row: math.log(1 + len(pages) / num) for row, num in num_with.items()}
        self._letters = [_weighted(counts, self._weights) for counts in letters]

    def found(self, slide: Slide, last: int) -> Slide:
        """The slide with its page, or as it is if no page is like it.

        Of pages that are alike, as an agenda that returns, it is the first after the page ``last``.
        """
        scores = self._scores(slide)
        best, is_sure = max(scores, default=(0.0, False))
        if not is_sure:
            return slide
        alike = [n for n, (score, _) in enumerate(scores, 1) if score > best - _ALIKE]
        number = min(alike, key=lambda n: (n <= last, n))
        return replace(
            slide,
            deck_page=number,
            deck_score=round(best, 3),
            deck_text=self._pages[number - 1].text,
        )

    def _scores(self, slide: Slide) -> list[tuple[float, bool]]:
        """How much each page is like the slide, 0 to 1, and whether that is enough."""
        still = without_bars(decode(slide.picture))
        strokes, rests = _strokes(still.grey), _resized(still.rests)
        letters = _weighted(_letters(slide.text), self._weights)
        scores = []
        for page_strokes, page_letters in zip(self._strokes, self._letters, strict=True):
            looks = words = None
            if page_strokes is not None:
                looks = _correlation(strokes[rests], page_strokes[rests])
            if letters and page_letters:
                words = _cosine(letters, page_letters)
            scores.append(_score(looks, words))
        return scores


def _score(looks: float | None, words: float | None) -> tuple[float, bool]:
    """The mean of what can be compared, and whether it is enough to be sure."""
    if words is None:
        return looks or 0.0, (looks or 0.0) >= _LEAST_LOOKS
    score = words if looks is None else (looks + words) / 2
    return score, score >= _LEAST_SCORE


def _strokes(grey: Grey) -> Strokes:
    picture = Image.fromarray(grey).resize(_SIZE, Image.Resampling.BOX)
    levels = np.asarray(picture).astype(np.int16)
    steps = np.abs(np.diff(levels, axis=0, append=levels[-1:]))
    steps += np.abs(np.diff(levels, axis=1, append=levels[:, -1:]))
    written = Image.fromarray(np.minimum(steps, 255).astype(np.uint8))
    blurred: Strokes = np.asarray(written.filter(ImageFilter.BoxBlur(_BLUR_PIXELS))).astype(float)
    return blurred


def _resized(rests: BoolArray) -> BoolArray:
    picture = Image.fromarray(rests.astype(np.uint8) * 255).resize(_SIZE, Image.Resampling.BOX)
    resized: BoolArray = np.asarray(picture) == 255  # noqa: PLR2004 - where all of it rests
    return resized


def _correlation(one: Strokes, other: Strokes) -> float:
    if len(one) == 0:
        return 0.0
    one, other = one - one.mean(), other - other.mean()
    length = math.sqrt(float((one * one).sum() * (other * other).sum()))
    return max(0.0, float((one * other).sum()) / length) if length else 0.0


def _letters(text: str) -> Counter[str]:
    """Three letters in a row, of Chinese two: words are not told apart by spaces everywhere."""
    plain = _NO_LETTER.sub("", unicodedata.normalize("NFKC", text).lower())
    rows: Counter[str] = Counter()
    for part in _SCRIPT.findall(plain):
        length = 2 if "\u3400" <= part[0] <= "\u9fff" else 3
        rows.update(part[at : at + length] for at in range(max(1, len(part) - length + 1)))
    return rows


def _weighted(counts: Mapping[str, int], weights: Mapping[str, float]) -> dict[str, float]:
    """More for rows of letters that few pages have; one that no page has counts as the rarest."""
    rarest = max(weights.values(), default=1.0)
    weighted = {row: num * weights.get(row, rarest) for row, num in counts.items()}
    length = math.sqrt(sum(value * value for value in weighted.values()))
    return {row: value / length for row, value in weighted.items()}


def _cosine(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    return sum(value * other.get(row, 0.0) for row, value in one.items())
