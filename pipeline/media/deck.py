"""The pages of a deck: their words, and how they look where the format says it.

A deck is not trusted. Run this in a child process, whose time and memory are limited: the readers
are large, and parts of them are no Python.
"""

import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline.errors import SourceError
from pipeline.records.sanitize import sanitized_lines

MAX_PAGES = 500
"""Of a deck; those that follow are left out."""
_MAX_CHARS = 10_000
"""Of the words of one page; nobody can read more from a screen."""
_WIDTH = 320
"""Of a picture of a page, as of those that recordings are compared in."""
_MAX_HEIGHT = 640
_MAX_UNPACKED_BYTES = 256 * 1024 * 1024
_MAX_PARTS = 20_000


@dataclass(frozen=True, slots=True)
class PageContent:
    """One page of a deck."""

    text: str
    """Its words, line by line, the title first if the format names one."""
    grey: npt.NDArray[np.uint8] | None
    """[h, w]; None if nobody can draw it."""


def read_pages(data: bytes, suffix: str) -> Iterator[PageContent]:
    """The pages of a deck in their order, at most ``MAX_PAGES``.

    Raises:
        SourceError: it is no such deck, or too large.
        ImportError: the package that reads it is not installed.
    """
    return _READERS[suffix](data)


def _pdf_pages(data: bytes) -> Iterator[PageContent]:
    import pypdfium2 as pdfium  # noqa: PLC0415 - part of the extra `deck`

    try:
        document = pdfium.PdfDocument(data)
        for number in range(min(len(document), MAX_PAGES)):
            page = document[number]
            yield PageContent(_plain([page.get_textpage().get_text_bounded()]), _drawn(page))
    except pdfium.PdfiumError as exc:
        raise SourceError(f"is no PDF that can be read: {exc}") from exc


def _drawn(page: Any) -> npt.NDArray[np.uint8]:  # noqa: ANN401 - pdfium has no types
    width, height = page.get_size()
    # A page may claim to be a thousand times as high as it is wide.
    scale = min(2 * _WIDTH / max(width, 1), 2 * _MAX_HEIGHT / max(height, 1))
    picture = page.render(scale=scale, grayscale=True).to_pil().convert("L")
    size = (max(1, picture.width // 2), max(1, picture.height // 2))
    grey: npt.NDArray[np.uint8] = np.asarray(picture.resize(size, Image.Resampling.BOX))
    return grey


def _pptx_pages(data: bytes) -> Iterator[PageContent]:
    from pptx import Presentation  # noqa: PLC0415 - part of the extra `deck`

    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as exc:
        raise SourceError(f"is no PowerPoint file: {exc}") from exc
    # No part gives more bytes than it states here.
    num_bytes = sum(part.file_size for part in parts)
    if num_bytes > _MAX_UNPACKED_BYTES or len(parts) > _MAX_PARTS:
        raise SourceError(
            f"unpacks to {num_bytes:,} bytes in {len(parts):,} parts; at most"
            f" {_MAX_UNPACKED_BYTES:,} bytes in {_MAX_PARTS:,} parts are read"
        )
    try:
        for number, slide in enumerate(Presentation(BytesIO(data)).slides):
            if number == MAX_PAGES:
                return
            yield PageContent(_plain(_words(slide)), None)
    except MemoryError:
        raise  # the caller says how much it may take
    # Hostile parts make the reader fail in many ways; each of them means the same.
    except Exception as exc:
        raise SourceError(f"is no PowerPoint file that can be read: {exc!r}") from exc


def _words(slide: Any) -> Iterator[str]:  # noqa: ANN401 - python-pptx has no types
    """What is written on a slide; not its notes, which nobody is shown."""
    title = slide.shapes.title
    if title is not None:
        yield title.text_frame.text
    yield from _words_of_shapes(
        shape for shape in slide.shapes if title is None or shape.shape_id != title.shape_id
    )


def _words_of_shapes(shapes: Iterable[Any]) -> Iterator[str]:
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _words_of_shapes(shape.shapes)
        elif shape.has_text_frame:
            yield shape.text_frame.text
        elif getattr(shape, "has_table", False):
            yield from (cell.text for row in shape.table.rows for cell in row.cells)


def _plain(texts: Iterable[str]) -> str:
    """Lines without what only sets type: fixed spaces and hyphens, joined letters."""
    text = unicodedata.normalize("NFKC", "\n".join(texts)[: 4 * _MAX_CHARS])
    lines = (line.strip() for line in text.replace("\u2010", "-").splitlines())
    return sanitized_lines("\n".join(filter(None, lines)))[:_MAX_CHARS]


_READERS: dict[str, Callable[[bytes], Iterator[PageContent]]] = {
    ".pdf": _pdf_pages,
    ".pptx": _pptx_pages,
}
SUFFIXES = tuple(_READERS)
"""Of decks, the best first: a PDF also says how its pages look."""
