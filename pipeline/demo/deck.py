"""Generated decks and recordings of their showing, with exact truth about every page.

A recording has what makes slides hard to follow: a cursor, pages that are built up line by line,
fades, a webcam in a corner, a page with a playing clip, and one page that is shown again.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT, FPS = 640, 360, 5
_CJK_FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/System/Library/Fonts/PingFang.ttc",
)
_TITLES = (
    ("Agenda", "Agenda"),
    ("Project progress", "Project progress"),
    ("Market data", "Market data"),
    ("Product price", "Product price"),
    ("Risks and mitigation", "Risks and mitigation"),
    ("Hiring plan", "Hiring plan"),
    ("Delivery status", "项目进展"),
    ("Sales by region", "市场数据"),
    ("Discounts", "产品价格"),
    ("Next steps", "Next steps"),
    ("Roadmap for spring", "Roadmap for spring"),
    ("Voice of customers", "客户反馈"),
)
_WORDS = """
revenue growth customer churn latency region launch budget partner supply demand quality margin
pilot audit security release backlog sprint vendor contract survey pricing forecast
"""
_ZH_WORDS = """
收入 增长 客户 流失 延迟 地区 发布 预算 伙伴 供应 需求 质量 利润 试点 审计 安全 合同 调查 预测
"""


@dataclass(frozen=True, slots=True)
class DeckPage:
    """What is written on one page."""

    title: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """Title and lines."""
        return "\n".join((self.title, *self.lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """One page on screen; seconds of media time."""

    page: int
    """From 1."""
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownDeck:
    """A deck, and how it was shown."""

    pages: tuple[DeckPage, ...]
    showings: tuple[Showing, ...]


def make_pages(seed: int, *, alike: bool = False, english: bool = False) -> tuple[DeckPage, ...]:
    """A deck of 12 pages, some of them Chinese where a font for it is installed.

    Args:
        seed: of everything that is drawn by chance.
        alike: some pages differ from another one in a single line, or in numbers only.
        english: no page is Chinese, whatever font is installed.
    """
    chance = random.Random(seed)  # noqa: S311 - chance of a test
    is_mixed = not english and cjk_font() is not None
    pages = [_page(chance, pair[is_mixed]) for pair in _TITLES]
    if alike:
        for number in (4, 5):
            lines = (*pages[3].lines[:-1], _line(chance, chinese=False))
            pages[number] = DeckPage(pages[3].title, lines)
        numbered = (f"{line.rsplit(' ', 1)[0]} {chance.randint(2, 99)}%" for line in pages[2].lines)
        pages[9] = DeckPage(pages[2].title, tuple(numbered))
    return tuple(pages)


def _page(chance: random.Random, title: str) -> DeckPage:
    chinese = not title.isascii()
    lines = (_line(chance, chinese=chinese) for _ in range(chance.randint(3, 5)))
    return DeckPage(title, tuple(lines))


def _line(chance: random.Random, *, chinese: bool) -> str:
    if chinese:
        words = "".join(chance.sample(_ZH_WORDS.split(), 4))
    else:
        words = " ".join(chance.sample(_WORDS.split(), 4))
    return f"{words} {chance.randint(2, 99)}%"


def draw_page(page: DeckPage, number: int, num_lines: int | None = None) -> Image.Image:
    """The page as it is shown, with its first ``num_lines`` lines; None draws all."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), (250, 250, 248))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, WIDTH, 8), fill=(30, 60, 120))
    draw.text((34, 26), page.title, font=_font(30), fill=(20, 30, 60))
    for row, line in enumerate(page.lines[:num_lines]):
        draw.text((52, 86 + 36 * row), f"- {line}", font=_font(19), fill=(30, 30, 30))
    draw.text((WIDTH - 150, HEIGHT - 20), f"ACME quarterly   {number}", font=_font(12), fill="gray")
    return picture


def cjk_font() -> str | None:
    """The path of a font with Chinese letters; None if none is installed where they usually are."""
    return next((path for path in _CJK_FONTS if Path(path).exists()), None)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    path = cjk_font()
    return ImageFont.load_default(size) if path is None else ImageFont.truetype(path, size)


def write_recording(
    pages: Sequence[DeckPage], path: Path, seed: int, order: Sequence[int] | None = None
) -> ShownDeck:
    """Show the deck in a video; returns what was shown when.

    Args:
        pages: of the deck.
        path: of the video.
        seed: decides how long each page is shown, and everything that makes it hard; even seeds
            have a webcam.
        order: numbers of the pages, from 1; None shows all, and one of the first ones again.
    """
    show = _Show(pages, seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "32", "preset": "ultrafast", "g": "50", "threads": "1"}
        for number, picture in enumerate(show.pictures(order or show.usual_order())):
            frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return ShownDeck(pages=tuple(pages), showings=tuple(show.showings))


class _Show:
    def __init__(self, pages: Sequence[DeckPage], seed: int) -> None:
        self._pages = pages
        self._chance = random.Random(seed + 1000)  # noqa: S311 - chance of a test
        self._noise = np.random.default_rng(seed)
        self._has_webcam = seed % 2 == 0
        self._room = self._noise.integers(60, 190, (9, 16)).astype(np.int16)
        self._clip_page = self._chance.randint(1, len(pages))
        self._cursor = (300.0, 200.0)
        self._num_frames = 0
        self.showings: list[Showing] = []

    def usual_order(self) -> list[int]:
        order = list(range(1, len(self._pages) + 1))
        again = self._chance.randint(4, len(order) - 3)
        return [*order[:again], self._chance.randint(1, again - 2), *order[again:]]

    def pictures(self, order: Sequence[int]) -> Iterator[Image.Image]:
        before: Image.Image | None = None
        for number in order:
            page, start = self._pages[number - 1], self._num_frames
            num_lines = len(page.lines)
            builds = self._chance.random() < 0.4  # noqa: PLR2004
            if before is not None and self._chance.random() < 0.4:  # noqa: PLR2004
                target = draw_page(page, number, 0 if builds else num_lines)
                for share in (0.3, 0.7):
                    yield self._finished(Image.blend(before, target, share))
            for shown in range(0 if builds else num_lines, num_lines + 1):
                picture = draw_page(page, number, shown)
                is_whole = shown == num_lines
                for _ in range(self._chance.randint(*((50, 110) if is_whole else (8, 15)))):
                    yield self._finished(picture, clip=is_whole and number == self._clip_page)
            self.showings.append(
                Showing(page=number, start_s=start / FPS, end_s=self._num_frames / FPS)
            )
            before = draw_page(page, number)

    def _finished(self, picture: Image.Image, *, clip: bool = False) -> Image.Image:
        """The picture with what lies over the page in this frame."""
        picture = picture.copy()
        draw = ImageDraw.Draw(picture)
        if clip:
            top = 190 + int(30 * np.sin(self._num_frames / 3))
            draw.rectangle((400, top, 469, top + 40), fill=(200, 40, 40))
        if self._has_webcam:
            picture.paste(self._webcam(), (WIDTH - 132, HEIGHT - 104))
        if self._chance.random() < 0.4:  # noqa: PLR2004
            x, y = self._cursor
            x += self._chance.uniform(-60, 60)
            y += self._chance.uniform(-40, 40)
            self._cursor = (min(WIDTH - 20.0, max(5.0, x)), min(HEIGHT - 20.0, max(5.0, y)))
        x, y = self._cursor
        draw.polygon([(x, y), (x, y + 14), (x + 10, y + 10)], fill="black")
        self._num_frames += 1
        return picture

    def _webcam(self) -> Image.Image:
        room = self._room + self._noise.integers(-12, 12, self._room.shape)
        picture = Image.fromarray(np.clip(room, 0, 255).astype(np.uint8))
        picture = picture.resize((120, 80), Image.Resampling.BILINEAR).convert("RGB")
        x = 40 + int(14 * np.sin(self._num_frames / 4))
        ImageDraw.Draw(picture).ellipse((x, 14, x + 36, 60), fill=(205, 160, 130))
        return picture
