"""Which page somebody speaks of, where that is another one than on the screen. Pure.

Four signs tell it, the surest first: the number of a page of the deck, its position ("the previous
slide"), words that few pages have, and what is meant, which also finds an English page in Chinese
speech. What is told of an utterance depends on its own words and on the pages alone, so it is the
same whichever rows are asked for.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline.minutes.numbers import number_of_page
from pipeline.minutes.position import Key, key_of, page_at, position_of
from pipeline.records import DeckPage, Slide, Utterance

Vectors = npt.NDArray[np.float32]
Meaning = Callable[[Sequence[str]], Vectors]
"""Vectors of unit length of texts [N, D], with those of one meaning near in all languages."""

_LEAST_WORDS = 1.4
"""More than one word of those that one page alone has; each counts 1, and a whole title 1 more."""
_LEAST_LEAD = 1.4
"""How many times as much as any other page, also that on the screen."""
_LEAST_COSINE = 0.35
_LEAST_COSINE_LEAD = 0.05
_MOST_LINES = 40
"""Of a page, whose meaning is compared."""
_MOST_WORDS = 5
"""Of those that tell a page, which are named."""
_LEAST_LETTERS = 4
"""Of a word that is looked for where a reader has lost the spaces."""
_WORD = re.compile(r"\d[\d.,]*|[\u3400-\u9fff]+|[^\W\d_\u3400-\u9fff]+")
_NO_LETTER = re.compile(r"[\W_]+")
_IN_NUMBER = re.compile(r"[.,]$|,(?=\d{3})")
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_COMMON_ENGLISH = """
about after again all also and any are back been before but can could did does done for from get
going had has have here how into its just know let like look make may more most much must need next
not now off one only other our out over page previous said same say see shall should show slide some
take than thank that the them then there these they thing think this those time two very want was
way well were what when where which while who why will with would yes you your
"""
_COMMON_CHINESE = """
我们 这个 那个 一个 可以 现在 大家 什么 没有 就是 这里 时候 还有 所以 因为 但是 如果 他们 你们 下面
来看 看到 看看 一下 这是 这些 那些 一页
"""
_COMMON = frozenset([*_COMMON_ENGLISH.split(), *_COMMON_CHINESE.split()])


Sign = Literal["number", "position", "words", "meaning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """The page that an utterance speaks of, which is not the one on the screen."""

    page: int | None
    """As the table ``slides`` counts; None if it is never shown."""
    deck_page: int | None
    """Its number in the deck, from 1; None if that is not known."""
    score: float
    """0 to 1: 1 for a number or a position; of words, the share of the page in what the two best
    pages have; of what is meant, the cosine."""
    sign: Sign
    evidence: tuple[str, ...]
    """The number, the position, the words, or the line of the page that is meant."""

    @property
    def reason(self) -> str:
        """Sign and evidence, on one line."""
        return f"{self.sign}: {', '.join(self.evidence)}"


class Pages:
    """The pages that may be spoken of: those that are shown, and those of the deck."""

    def __init__(
        self, slides: Sequence[Slide], deck: Sequence[DeckPage] = (), meaning: Meaning | None = None
    ) -> None:
        """Of one video.

        Args:
            slides: of one task.
            deck: what they show; () if that is not known.
            meaning: None if nothing tells what is meant.
        """
        self._slides, self._deck = slides, deck
        self._pages = _pages(slides, deck)
        self._weights: dict[str, float] = {}
        self._meaning = meaning

    def topics(
        self, utterances: Sequence[Utterance], shown: Mapping[str, Slide | None]
    ) -> dict[str, Topic]:
        """By id of the utterance, of those that speak of another page than they are ``shown`` over.

        Args:
            utterances: of the same video.
            shown: by id, as ``pages_on_screen`` tells it.
        """
        topics: dict[str, Topic | None] = {}
        unclear = []
        for one in utterances:
            slide = shown.get(one.utterance_id)
            on_screen = self._pages.get(key_of(slide)) if slide else None
            if named := self._named(one.text) or self._placed(one.text, slide):
                page, sign, evidence = named
                is_other = page is not on_screen
                topics[one.utterance_id] = page.topic(1.0, sign, (evidence,)) if is_other else None
                continue
            topics[one.utterance_id], is_clear = self._by_words(one.text, on_screen)
            if not is_clear:
                unclear.append((one, on_screen))
        if self._meaning and unclear and self._lines:
            topics |= self._by_meaning(unclear, self._meaning)
        return {name: topic for name, topic in topics.items() if topic}

    def _named(self, text: str) -> "tuple[_Page, Sign, str] | None":
        """The page of the deck whose number is said; without a deck nobody knows its numbers."""
        number = number_of_page(text)
        page = self._pages.get(("deck", number)) if number else None
        return (page, "number", str(number)) if page else None

    def _placed(self, text: str, on_screen: Slide | None) -> "tuple[_Page, Sign, str] | None":
        """The page whose position is said."""
        position = position_of(text)
        key = page_at(position, on_screen, self._slides, self._deck) if position else None
        page = self._pages.get(key) if key else None
        return (page, "position", position) if page and position else None

    def _by_words(self, text: str, on_screen: "_Page | None") -> tuple[Topic | None, bool]:
        """What words tell, and whether they tell anything, if only of the page on the screen."""
        terms = _terms(text)
        here = on_screen.told([*filter(on_screen.shows, terms)], self._weight) if on_screen else 0.0
        scores = [
            (page.told([*filter(page.has, terms)], self._weight), page)
            for page in self._pages.values()
            if page is not on_screen
        ]
        scores.sort(key=lambda scored: -scored[0])
        best, page = scores[0] if scores else (0.0, None)
        second = max([here, *(score for score, _ in scores[1:2])])
        # Words of the page on the screen cannot be heard in another language.
        is_foreign = on_screen is not None and _is_chinese(text) != on_screen.is_chinese
        least = _LEAST_WORDS * (2 if is_foreign else 1)
        if page is None or best < max(least, _LEAST_LEAD * second):
            return None, here >= _LEAST_WORDS
        words = sorted(filter(page.has, terms), key=lambda term: (-self._weight(term), term))
        topic = page.topic(best / (best + second), "words", tuple(words[:_MOST_WORDS]))
        return topic, not is_foreign

    def _weight(self, term: str) -> float:
        """1 for a word that one page has, less for those of several, 0 for those of none."""
        if (weight := self._weights.get(term)) is None:
            num_with = sum(page.has(term) for page in self._pages.values())
            num = len(self._pages)
            weight = math.log(1 + num / num_with) / math.log(1 + num) if num_with else 0.0
            self._weights[term] = weight
        return weight

    @cached_property
    def _lines(self) -> "list[tuple[_Page, str]]":
        return [(page, line) for page in self._pages.values() for line in page.lines[:_MOST_LINES]]

    @cached_property
    def _line_vectors(self) -> Vectors:
        assert self._meaning  # noqa: S101 - nobody asks otherwise
        return self._meaning([line for _, line in self._lines])

    def _by_meaning(
        self, unclear: "Sequence[tuple[Utterance, _Page | None]]", meaning: Meaning
    ) -> dict[str, Topic | None]:
        """Of those whose meaning tells it; None where it is the page on the screen."""
        topics: dict[str, Topic | None] = {}
        cosines = meaning([one.text for one, _ in unclear]) @ self._line_vectors.T
        for (one, on_screen), row in zip(unclear, cosines, strict=True):
            best: dict[int, tuple[float, _Page, str]] = {}
            for (page, line), cosine in zip(self._lines, row.tolist(), strict=True):
                if cosine > best.get(id(page), (-1.0, page, ""))[0]:
                    best[id(page)] = cosine, page, line
            first, *others = sorted(best.values(), key=lambda found: -found[0])
            cosine, page, line = first
            lead = cosine - max((found[0] for found in others), default=0.0)
            if cosine >= _LEAST_COSINE and lead >= _LEAST_COSINE_LEAD:
                is_other = page is not on_screen
                found = page.topic(min(1.0, cosine), "meaning", (line,)) if is_other else None
                topics[one.utterance_id] = found
        return topics


def _pages(slides: Iterable[Slide], deck: Sequence[DeckPage]) -> "dict[Key, _Page]":
    first: dict[Key, Slide] = {}
    for slide in sorted(slides, key=lambda one: one.media):
        first.setdefault(key_of(slide), slide)
    texts: dict[Key, str] = {key: slide.written for key, slide in first.items()}
    texts |= {("deck", number): page.text for number, page in enumerate(deck, start=1)}
    titles = {key: _plain(text).strip().partition("\n")[0] for key, text in texts.items()}
    pages = {}
    for key, text in texts.items():
        of_others = {title for other, title in titles.items() if other != key}
        shown = first.get(key)
        pages[key] = _Page(
            page=shown.page if shown else None,
            deck_page=key[1] if key[0] == "deck" else None,
            text=text,
            of_others=frozenset(of_others),
            has_spaces=key[0] == "deck",
        )
    return pages


class _Page:
    """What is written on one page."""

    def __init__(
        self,
        *,
        page: int | None,
        deck_page: int | None,
        text: str,
        of_others: frozenset[str],
        has_spaces: bool,
    ) -> None:
        """A line that is the title of another page, as in an agenda, speaks for that one."""
        self._page, self.deck_page = page, deck_page
        title, *others = [line.strip() for line in text.splitlines() if line.strip()] or [""]
        own = [line for line in others if _plain(line).strip() not in of_others]
        self.lines = [title, *own] if title else own
        self._words = _Words("\n".join(self.lines), has_spaces=has_spaces)
        self._all_words = _Words(text, has_spaces=has_spaces)
        self._title = _letters(title)
        self.is_chinese = _is_chinese(text)

    def has(self, term: str) -> bool:
        """Whether the word stands on it."""
        return term in self._words

    def shows(self, term: str) -> bool:
        """The same, also in the lines that speak for other pages."""
        return term in self._all_words

    def told(self, said: Collection[str], weight: Callable[[str], float]) -> float:
        """How much words on it tell: rare ones more, and those of the title."""
        num_letters = sum(len(term) for term in said if term in self._title)
        return sum(map(weight, said)) + min(1.0, num_letters / max(1, len(self._title)))

    def topic(self, score: float, sign: Sign, evidence: tuple[str, ...]) -> Topic:
        return Topic(
            page=self._page,
            deck_page=self.deck_page,
            score=round(score, 3),
            sign=sign,
            evidence=evidence,
        )


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()


def _is_chinese(text: str) -> bool:
    """Whether more than a fifth of the letters are Chinese; names and terms in it often are not."""
    letters = _letters(text)
    return 5 * len(_CHINESE.findall(letters)) > len(letters)


def _letters(text: str) -> str:
    return _NO_LETTER.sub("", _plain(text))


class _Words:
    """What is looked for in a text; a reader of pictures may have lost its spaces."""

    def __init__(self, text: str, *, has_spaces: bool) -> None:
        self._terms = _terms(text)
        self._letters = "" if has_spaces else _letters(text)

    def __contains__(self, term: str) -> bool:
        is_within = len(term) >= _LEAST_LETTERS and term in self._letters
        return term in self._terms or is_within


def _terms(text: str) -> set[str]:
    """Numbers of two figures or more, words of three letters or more, of Chinese two in a row."""
    terms = set()
    for found in _WORD.findall(_plain(text)):
        if _CHINESE.match(found):
            terms |= {found[at : at + 2] for at in range(len(found) - 1)}
        elif found[0].isdigit():
            terms.add(_IN_NUMBER.sub("", found))
        else:
            is_plural = found.endswith("s") and not found.endswith("ss")
            terms.add(found[:-1] if is_plural and len(found) > _LEAST_LETTERS else found)
    return {
        term
        for term in terms - _COMMON
        if len(term) >= (3 if term.isascii() and term.isalpha() else 2)
    }
