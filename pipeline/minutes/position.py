"""A page that is named by where it stands: "the previous slide", "next page", 最后一页. Pure."""

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from pipeline.records import DeckPage, Slide

Position = Literal["previous", "next", "first", "last"]
Key: TypeAlias = tuple[Literal["deck", "shown"], int]
"""A page by its number in the deck where that is known, else as the table ``slides`` counts."""

_PAGE = r"(?:slide|page)\b(?!\s+of\b(?!\s+(?:the|this|our|my)\s+(?:deck|presentation|slides|talk)))"
_FORMS: dict[Position, str] = {
    "previous": rf"\b(?:previous|preceding)\s+{_PAGE}|\bone (?:slide|page) (?:back|earlier)\b"
    r"|(?<!以)[上前]一[页頁张張]|上[页頁]",
    "next": rf"\b(?:next|following)\s+{_PAGE}|\bone (?:slide|page) (?:ahead|further)\b"
    r"|(?<![剩留余])下一[页頁张張]|下[页頁]",
    "first": rf"\b(?:very\s+)?first\s+{_PAGE}|第一[页頁张張]|首[页頁]",
    "last": rf"\b(?:last|final)\s+{_PAGE}|最[后後]一?[页頁张張]|末[页頁]",
}
# "As we saw on the last slide" may mean the one before, too.
_PAST = re.compile(
    r"\b(?:saw|seen|showed|shown|said|mentioned|discussed|talked|had|were|was)\b[^.?!]*\blast\s",
    re.IGNORECASE,
)


def position_of(text: str) -> Position | None:
    """Where the page stands that a text names; None if it names none so, or may mean several."""
    found = {position for position, form in _FORMS.items() if re.search(form, text, re.IGNORECASE)}
    if len(found) != 1 or ("last" in found and _PAST.search(text)):
        return None
    return found.pop()


def page_at(
    position: Position, on_screen: Slide | None, slides: Sequence[Slide], deck: Sequence[DeckPage]
) -> Key | None:
    """The page at a position of a meeting; None if nobody knows which one that is.

    Where pages were not shown in the order of the deck, the next and the previous one may be two.

    Args:
        position: where it stands; ``previous`` and ``next`` from the page on the screen.
        on_screen: one of the slides; None if no page is shown.
        slides: of one video and task.
        deck: what they show; () if that is not known.
    """
    if position in ("first", "last"):
        if deck:
            return "deck", 1 if position == "first" else len(deck)
        pages = [slide.page for slide in slides]
        return ("shown", min(pages) if position == "first" else max(pages)) if pages else None
    if on_screen is None:
        return None
    shown = _beside(position, on_screen, slides)
    number = (on_screen.deck_page or 0) + (1 if position == "next" else -1)
    if on_screen.deck_page is None or not deck:
        return shown
    if not 1 <= number <= len(deck) or (shown and shown[0] == "deck" and shown[1] != number):
        return None
    return "deck", number


def key_of(slide: Slide) -> Key:
    """The page that a slide shows."""
    return ("shown", slide.page) if slide.deck_page is None else ("deck", slide.deck_page)


def _beside(position: Position, on_screen: Slide, slides: Sequence[Slide]) -> Key | None:
    """The other page that is shown before or after it."""
    here = key_of(on_screen)
    is_next = position == "next"
    others = [one for one in slides if (one.media > on_screen.media) == is_next]
    others.sort(key=lambda one: one.media, reverse=not is_next)
    return next((key for key in map(key_of, others) if key != here), None)
