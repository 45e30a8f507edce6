"""Decks beside recordings: found, read safely, and their pages told apart in what is shown."""

import json
import os
import sys
import zipfile
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.config import Config
from pipeline.demo.deck import draw_page, make_pages
from pipeline.demo.deck_file import write_pdf, write_pictures_pdf, write_pptx
from pipeline.errors import SourceError
from pipeline.flow.task.beside import names_beside
from pipeline.flow.task.deck import find_deck, with_deck, with_other_decks
from pipeline.media.deck import MAX_PAGES, read_pages
from pipeline.records import Deck, DeckPage, Slide
from pipeline.slides.deck import with_deck_pages
from pipeline.slides.picture import Still, encode
from pipeline.storage.access import Access
from pipeline.timebase import NS_PER_S, TimeRange
from tests.decks import CONFIG
from tests.made import a_video

PAGES = make_pages(7, alike=True)
WRITERS = {"talk.pdf": write_pdf, "scan.pdf": write_pictures_pdf, "talk.pptx": write_pptx}
ANYWHERE = Access(roots=(), hosts=())


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    """The pages of the same deck, as each kind of file has them."""
    folder = tmp_path_factory.mktemp("decks")
    for name, write in WRITERS.items():
        write(PAGES, folder / name)
    return {
        name: [*read_pages((folder / name).read_bytes(), f".{name.rpartition('.')[2]}")]
        for name in WRITERS
    }


def deck_of(contents):
    return Deck(
        uri="talk.pdf",
        etag="1",
        pages=tuple(
            DeckPage(
                text=one.text,
                picture=""
                if one.grey is None
                else encode(Still(one.grey, np.ones(one.grey.shape, bool))),
            )
            for one in contents
        ),
    )


def slide(picture=None, text="", at_s=0):
    grey = np.asarray(picture.convert("L").resize((320, 180), Image.Resampling.BOX))
    rests = np.ones(grey.shape, bool)
    rests[130:, 250:] = False  # a webcam
    span = TimeRange(at_s * NS_PER_S, (at_s + 1) * NS_PER_S)
    return Slide(
        slide_id=f"s{at_s}", camera="c", video_id="v1", uri="v1.mp4", span=span, media=span,
        page=at_s + 1, frame_pts=(), steps=(), picture=encode(Still(grey, rests)), window_ids=(),
        text=text,
    )  # fmt: skip


def shown(*, is_read):
    """All pages, with the words as a reader gives them: without spaces."""
    return [
        slide(draw_page(page, n + 1), page.text.replace(" ", "") if is_read else "", n)
        for n, page in enumerate(PAGES)
    ]


@pytest.mark.parametrize(
    ("name", "is_read"),
    [("talk.pdf", True), ("scan.pdf", True), ("scan.pdf", False), ("talk.pptx", True)],
)
def test_each_page_has_its_number_in_the_deck(decks, name, is_read):
    slides = with_deck_pages(shown(is_read=is_read), deck_of(decks[name]))
    assert [one.deck_page for one in slides] == list(range(1, len(PAGES) + 1))
    assert all(0.6 <= one.deck_score <= 1 for one in slides)


@pytest.mark.parametrize("name", ["talk.pdf", "talk.pptx"])
def test_nobody_tells_pages_by_looks_that_the_deck_has_not(decks, name):
    slides = with_deck_pages(shown(is_read=False), deck_of(decks[name]))
    assert {one.deck_page for one in slides} == {None}


@pytest.mark.parametrize("name", ["talk.pdf", "talk.pptx"])
def test_a_page_that_the_deck_has_not_has_no_number(decks, name):
    other = make_pages(8)[0]
    words = other.text.replace(other.title, "Something else")
    foreign = slide(draw_page(replace(other, title="Something else"), 40), words)
    [one] = with_deck_pages([foreign], deck_of(decks[name]))
    assert (one.deck_page, one.deck_score, one.deck_text) == (None, None, "")


@pytest.mark.parametrize("name", WRITERS)
def test_of_pages_that_are_the_same_the_one_counts_that_comes_next(decks, name):
    pages = shown(is_read=True)
    deck = deck_of([decks[name][n] for n in (0, 1, 0, 2, 0)])
    slides = with_deck_pages([pages[n] for n in (0, 1, 0, 2, 0, 1, 0)], deck)
    assert [one.deck_page for one in slides] == [1, 2, 3, 4, 5, 2, 3]


def test_words_of_a_deck_are_those_that_it_shows(decks, tmp_path):
    for name in ("talk.pdf", "talk.pptx"):
        for content, page in zip(decks[name], PAGES, strict=True):
            assert all(line in content.text for line in page.text.splitlines())
    from pptx import Presentation

    presentation = Presentation()
    noted = presentation.slides.add_slide(presentation.slide_layouts[5])
    noted.shapes.title.text = "Product price"
    table = noted.shapes.add_table(1, 2, 0, 0, 100, 100).table
    table.cell(0, 0).text, table.cell(0, 1).text = "Gateway\u202e", "1,250 EUR"
    noted.notes_slide.notes_text_frame.text = "do not tell anybody"
    presentation.save(str(tmp_path / "noted.pptx"))
    [content] = read_pages((tmp_path / "noted.pptx").read_bytes(), ".pptx")
    assert content.text.splitlines()[0] == "Product price"
    assert "1,250 EUR" in content.text
    assert "\u202e" not in content.text
    assert "anybody" not in content.text


def pptx_with(tmp_path, **parts):
    """A deck for PowerPoint in which parts are replaced."""
    write_pptx(PAGES[:1], tmp_path / "good.pptx")
    with (
        zipfile.ZipFile(tmp_path / "good.pptx") as good,
        zipfile.ZipFile(tmp_path / "bad.pptx", "w", zipfile.ZIP_DEFLATED) as bad,
    ):
        for name in good.namelist():
            key = name.rpartition("/")[2].replace(".", "_")
            bad.writestr(name, parts.pop(key, None) or good.read(name))
        for name, data in parts.items():
            bad.writestr(name, data)
    return (tmp_path / "bad.pptx").read_bytes()


def test_a_deck_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path):
    data = pptx_with(tmp_path, bomb=bytes(257 * 1024 * 1024))
    assert len(data) < 1024 * 1024
    with pytest.raises(SourceError, match="unpacks to 2"):
        next(read_pages(data, ".pptx"))


def test_entities_in_a_deck_name_no_file_and_do_not_grow(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("TELLTALE")
    write_pptx(PAGES[:1], tmp_path / "good.pptx")
    with zipfile.ZipFile(tmp_path / "good.pptx") as good:
        part = good.read("ppt/slides/slide1.xml").decode()
    head, _, body = part.partition("?>")
    grows = "".join(f'<!ENTITY b{n} "{f"&b{n - 1};" * 10}">' for n in range(1, 12))
    entities = f'<!DOCTYPE x [<!ENTITY a SYSTEM "{secret}"><!ENTITY b0 "AAAAAAAAAA">{grows}]>'
    hostile = f"{head}?>{entities}{body.replace(PAGES[0].title, '&a;&b11;')}"
    data = pptx_with(tmp_path, slide1_xml=hostile)
    try:
        texts = [content.text for content in read_pages(data, ".pptx")]
    except SourceError:
        return
    assert "TELLTALE" not in "".join(texts)
    assert len("".join(texts)) < 10_000


@pytest.mark.parametrize("suffix", [".pdf", ".pptx"])
@settings(max_examples=40)
@given(data=st.binary(max_size=200), cut=st.integers(0, 2000))
def test_damaged_decks_have_pages_or_a_reason(tmp_path_factory, suffix, data, cut):
    path = tmp_path_factory.getbasetemp() / f"whole{suffix}"
    if not path.exists():
        (write_pptx if suffix == ".pptx" else write_pictures_pdf)(PAGES[:1], path)
    whole = path.read_bytes()
    for damaged in (data, whole[:cut] + data + whole[cut + len(data) :]):
        try:
            assert len(list(read_pages(damaged, suffix))) <= MAX_PAGES
        except SourceError as exc:
            assert "is no P" in str(exc)  # noqa: PT017 - most of them are readable


def test_pages_of_absurd_sizes_and_numbers_are_bounded(tmp_path):
    import pypdfium2 as pdfium

    document = pdfium.PdfDocument.new()
    for width, height in ((14_400, 1), (1, 14_400), *[(10, 10)] * MAX_PAGES):
        document.new_page(width, height)
    document.save(str(tmp_path / "many.pdf"))
    contents = list(read_pages((tmp_path / "many.pdf").read_bytes(), ".pdf"))
    assert len(contents) == MAX_PAGES
    assert max(max(one.grey.shape) for one in contents) <= 640


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["talk.mp4", "talk.pdf", "talk.pptx"], "talk.pdf"),
        (["talk.mp4", "talk.mp4.pptx"], "talk.mp4.pptx"),
        (["talk.mp4", "Talk.PDF"], "Talk.PDF"),
        (["talk.mp4", "talk.json", "talk.pdf", "q3.pptx"], "q3.pptx"),
        (["talk.mp4", "talks.pdf", "talk.txt"], ""),
    ],
)
def test_a_deck_has_the_name_of_its_recording_or_stands_in_its_sidecar(tmp_path, names, found):
    for name in names:
        (tmp_path / name).write_text('{"deck": "q3.pptx"}' if name == "talk.json" else "x")
    deck = find_deck(f"{tmp_path}/talk.mp4", names, ANYWHERE)
    assert deck.uri == (f"{tmp_path}/{found}" if found else "")
    assert bool(deck.etag) == bool(found)


def test_a_file_whose_name_no_table_can_hold_lies_beside_no_recording(tmp_path):
    odd = os.fsdecode(b"o\xff.pdf")
    write_pdf(PAGES[:1], tmp_path / odd)
    (tmp_path / "talk.json").write_text(json.dumps({"deck": odd}))
    assert names_beside(f"{tmp_path}/talk.mp4", ANYWHERE) == ["talk.json"]
    assert with_deck(a_video(uri=f"{tmp_path}/talk.mp4"), CONFIG).deck == Deck()


@pytest.mark.parametrize("stated", ["../out.pdf", "/etc/passwd", "a/b.pdf", 7, None, {}, "x.mp4"])
def test_a_sidecar_names_no_deck_elsewhere(tmp_path, stated):
    (tmp_path / "talk.json").write_text(json.dumps({"deck": stated}))
    assert find_deck(f"{tmp_path}/talk.mp4", ["talk.mp4", "talk.json"], ANYWHERE) == Deck()


def test_a_video_gets_the_pages_of_its_deck_and_notices_another_one(tmp_path):
    video = a_video(uri=f"{tmp_path}/talk.mp4")
    assert with_deck(video, CONFIG) == video
    write_pptx(PAGES, tmp_path / "talk.pptx")
    got = with_deck(video, CONFIG)
    assert [page.text.splitlines()[0] for page in got.deck.pages] == [one.title for one in PAGES]
    assert got.warnings == ()
    other = partial(with_other_decks, access=ANYWHERE)
    assert other({video.uri: got.deck.etag}) == set()
    assert other({video.uri: ""}) == {video.uri}
    (tmp_path / "talk.pptx").unlink()
    assert other({video.uri: got.deck.etag}) == {video.uri}


@pytest.mark.parametrize(
    ("data", "why"), [(b"%PDF-1.7 nothing", "is no PDF"), (b"", "is no PDF"), (None, "a folder")]
)
def test_a_deck_that_cannot_be_read_is_a_warning_and_is_not_tried_again(tmp_path, data, why):
    path = tmp_path / "talk.pdf"
    path.mkdir() if data is None else path.write_bytes(data)
    video = with_deck(a_video(uri=f"{tmp_path}/talk.mp4"), CONFIG)
    assert video.deck.pages == ()
    assert why in video.warnings[0]
    assert with_other_decks({video.uri: video.deck.etag}, ANYWHERE) == set()


def test_a_deck_out_of_the_roots_is_not_read(tmp_path):
    (tmp_path / "in").mkdir()
    write_pptx(PAGES[:1], tmp_path / "out.pptx")
    (tmp_path / "in" / "talk.pptx").symlink_to(tmp_path / "out.pptx")
    config = Config.model_validate(
        CONFIG.model_dump() | {"sources": {"roots": [str(tmp_path / "in")]}}
    )
    video = with_deck(a_video(uri=f"{tmp_path}/in/talk.mp4"), config)
    assert video.deck.pages == ()
    assert "roots" in video.warnings[0]


def test_a_deck_waits_for_the_package_that_reads_it(monkeypatch, tmp_path):
    (tmp_path / "pptx.py").write_text("raise ImportError('none', name='pptx')")
    write_pptx(PAGES[:1], tmp_path / "talk.pptx")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    video = with_deck(a_video(uri=f"{tmp_path}/talk.mp4"), CONFIG)
    assert "install timereel[deck]" in video.warnings[0]
    assert with_other_decks({video.uri: video.deck.etag}, ANYWHERE) == {video.uri}
