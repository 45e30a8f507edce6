"""What stands still on a screen: the views of windows, and the slides that follow from them."""

from dataclasses import dataclass

from pipeline.timebase import TimeRange


@dataclass(frozen=True, slots=True, kw_only=True)
class PageView:
    """A stretch of one window with one page on screen, or with none."""

    span: TimeRange
    """Media time."""
    frame_pts: tuple[int, ...]
    """The frame that shows the page first, then each that adds something to it."""
    picture: str
    """What stands still, at the end of the stretch: a grey WebP in base64, transparent where the
    picture never rests. "" if that is no page: footage of a camera, a clip, an empty screen."""
    text: str = ""
    """The words on it, line by line; "" if nobody reads them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeckPage:
    """One page of the deck that was shown."""

    text: str
    """Its words, line by line."""
    picture: str = ""
    """As in ``PageView``; "" if the format of the deck does not say how it looks."""

    @property
    def title(self) -> str:
        """Its first line; "" if it has no words."""
        return first_line(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deck:
    """The file of slides beside a recording."""

    uri: str = ""
    """"" if there is none."""
    etag: str = ""
    """Differs when the content may have changed; "" if it could not be read for a reason that may
    pass, so that the next run tries again."""
    pages: tuple[DeckPage, ...] = ()


NO_DECK = Deck()


@dataclass(frozen=True, slots=True, kw_only=True)
class Slide:
    """One showing of a page; times in UTC. A page that is shown again is another slide."""

    slide_id: str
    camera: str
    video_id: str
    uri: str
    span: TimeRange
    media: TimeRange
    page: int
    """Pages count from 1 as they appear; one that is shown again keeps its number."""
    frame_pts: tuple[int, ...]
    steps: tuple[int, ...]
    """Media time in nanoseconds at which a build added something to the page."""
    picture: str
    """The page at the end, as in ``PageView``."""
    window_ids: tuple[str, ...]
    text: str = ""
    """The words on the page, line by line; "" if nobody reads them."""
    deck_page: int | None = None
    """The number of the page in the deck, from 1; None if there is no deck, or it has no such page.
    """
    deck_score: float | None = None
    """How much it is like that page, 0 to 1."""
    deck_text: str = ""
    """The words that the deck has on that page."""

    @property
    def written(self) -> str:
        """The words of the page: those of the deck if it is known, as a reader loses spaces."""
        return self.deck_text or self.text

    @property
    def title(self) -> str:
        """The first line of what is written; "" if nobody knows it."""
        return first_line(self.written)


def first_line(text: str) -> str:
    """The first line with anything on it; "" if there is none."""
    return next(filter(None, map(str.strip, text.splitlines())), "")
