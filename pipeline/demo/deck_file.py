"""Generated decks as files: PDF and PowerPoint."""

import ctypes
from collections.abc import Sequence
from pathlib import Path

from pipeline.demo.deck import HEIGHT, WIDTH, DeckPage, cjk_font, draw_page


def write_pictures_pdf(pages: Sequence[DeckPage], path: Path) -> None:
    """The deck as pictures of its pages, as a scan: it has no words that a program can read."""
    first, *others = (draw_page(page, number) for number, page in enumerate(pages, start=1))
    first.save(path, "PDF", save_all=True, append_images=others)


def write_pdf(pages: Sequence[DeckPage], path: Path) -> None:
    """The deck with words, in another font and other places than recordings show it."""
    import pypdfium2 as pdfium  # noqa: PLC0415 - part of the extra `deck`
    from pypdfium2 import raw  # noqa: PLC0415 - the same

    document = pdfium.PdfDocument.new()
    if (path_of_font := None if _is_plain(pages) else cjk_font()) is None:
        font = raw.FPDFText_LoadStandardFont(document, b"Helvetica")
    else:
        data = Path(path_of_font).read_bytes()
        as_array = (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
        font = raw.FPDFText_LoadFont(document, as_array, len(data), raw.FPDF_FONT_TRUETYPE, 1)
    for number, page in enumerate(pages, start=1):
        sheet = document.new_page(WIDTH, HEIGHT)
        for text, size_pt, x, y in _layout(page, number):
            written = raw.FPDFPageObj_CreateTextObj(document, font, size_pt)
            code_units = ctypes.create_string_buffer(text.encode("utf-16-le") + b"\0\0")
            raw.FPDFText_SetText(written, ctypes.cast(code_units, ctypes.POINTER(ctypes.c_ushort)))
            raw.FPDFPageObj_Transform(written, 1, 0, 0, 1, x, y)
            raw.FPDFPage_InsertObject(sheet, written)
        sheet.gen_content()
    document.save(str(path))


def _is_plain(pages: Sequence[DeckPage]) -> bool:
    return all(page.text.isascii() for page in pages)


def _layout(page: DeckPage, number: int) -> list[tuple[str, int, int, int]]:
    """Each text with its size, and the place of its first letter from the left and from below."""
    lines = ((f"- {line}", 18, 48, HEIGHT - 104 - 37 * row) for row, line in enumerate(page.lines))
    return [(page.title, 28, 30, HEIGHT - 54), *lines, (str(number), 10, WIDTH - 60, 12)]


def write_pptx(pages: Sequence[DeckPage], path: Path) -> None:
    """The deck for PowerPoint: its words, which no program here can draw."""
    from pptx import Presentation  # noqa: PLC0415 - part of the extra `deck`

    presentation = Presentation()
    for page in pages:
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = page.title
        slide.placeholders[1].text = "\n".join(page.lines)
    presentation.save(str(path))
