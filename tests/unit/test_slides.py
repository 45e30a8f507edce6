"""Slides of recordings whose pages are known: generated decks, and footage without any page."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

import pipeline.demo
import pipeline.index as pi
from pipeline.config import Config
from pipeline.demo.deck import make_pages, write_recording
from pipeline.flow.driver.finish import finish_videos, join_events
from pipeline.flow.driver.ledger import WholeVideo
from pipeline.flow.driver.rederive import derive
from pipeline.flow.task.stages import probe_and_plan
from pipeline.index.check import check
from pipeline.index.erase import erase
from pipeline.index.filters import Span
from pipeline.index.repair import repair
from pipeline.index.replace import replace as replace_rows
from pipeline.index.scope import Scope
from pipeline.index.search import by_words
from pipeline.media import decode_frames
from pipeline.records import Deck, DeckPage, Frame, WindowPlan
from pipeline.slides import PageTexts, PageWatcher, slides_of_video
from pipeline.slides.picture import Still, change_between, is_page
from pipeline.tables.schema import SLIDES
from pipeline.tables.shared import Provenance
from pipeline.tables.slides import slides_of_table, slides_table
from pipeline.tables.windows import window_results, windows_table
from pipeline.timebase import NS_PER_S, TimeRange, ns_to_datetime
from tests.decks import CONFIG, look_at, score
from tests.made import a_video
from tests.videos import source_of

ORDER = (1, 2, 4, 5, 3, 10, 2, 9)
"""Pages 4 and 5 differ in one line, 3 and 10 in numbers only; page 2 is shown again."""
MADE_BY = Provenance(
    task=CONFIG.task.name,
    model=CONFIG.model,
    prompt_id=CONFIG.prompt_id,
    fingerprint=CONFIG.fingerprint,
    config=CONFIG.to_json(),
)


@pytest.fixture(scope="module", params=[2, 3])
def shown(request, tmp_path_factory):
    """A recording with a webcam (seed 2) and one without, and what was shown."""
    path = tmp_path_factory.mktemp("deck") / "meeting.mp4"
    pages = make_pages(request.param, alike=True)
    return path, write_recording(pages, path, request.param, ORDER)


@pytest.fixture(scope="module")
def seen(shown):
    return look_at(shown[0])


def slides_of(seen):
    return slides_of_video(*seen, task="t")


def test_every_change_of_page_is_found_and_nothing_else(shown, seen):
    got = score(slides_of(seen), shown[1])
    assert (got.num_found, got.num_claimed) == (got.num_changes, got.num_changes)
    assert got.mean_error_s <= 0.5


def test_a_page_that_is_shown_again_is_the_same_page_and_pages_that_are_alike_are_not(shown, seen):
    numbers = dict(zip((s.page for s in slides_of(seen)), ORDER, strict=True))
    assert [numbers[slide.page] for slide in slides_of(seen)] == list(ORDER)
    assert len(numbers) == len(set(ORDER))
    assert score(slides_of(seen), shown[1]).right_page_share >= 0.98


def test_the_slides_do_not_depend_on_where_shards_begin(shown):
    [many, one] = (
        slides_of(look_at(shown[0], CONFIG.model_copy(update={"plan": plan})))
        for plan in (
            CONFIG.plan.model_copy(update={"shard_cost_s": 1e-6, "max_window_frames": 20}),
            CONFIG.plan.model_copy(update={"shard_cost_s": 1e6, "max_window_frames": 1000}),
        )
    )
    assert len({window for slide in many for window in slide.window_ids}) > len(many)
    got = [score(slides, shown[1]) for slides in (many, one)]
    assert [(g.num_found, g.num_claimed) for g in got] == 2 * [(got[0].num_changes,) * 2]


def test_stored_windows_give_the_same_slides(seen):
    video, results = seen
    stored = windows_table([(video, result) for result in results], MADE_BY)
    assert slides_of((video, window_results(stored))) == slides_of(seen)


def test_slides_come_back_from_their_table(seen):
    made = slides_of(seen)
    assert slides_of_table(slides_table(made, MADE_BY)) == made


def test_the_frames_that_prove_a_slide_lie_in_it_and_the_first_begins_it(seen):
    video, _ = seen
    for slide in slides_of(seen)[1:]:
        times = [video.media_ns(pts) for pts in slide.frame_pts]
        assert times[0] == slide.media.start_ns
        assert times == sorted(times)
        assert times[-1] < slide.media.end_ns
        assert tuple(times[1:]) == slide.steps


def test_what_is_found_in_a_window_does_not_change_when_the_file_grows():
    video = a_video()
    chance = np.random.default_rng(1)
    pages = [np.kron(chance.integers(0, 2, (18, 32)) * 255, np.ones((10, 10))) for _ in range(3)]
    frames = [
        Frame(
            pts=500 * number,
            keyframe=False,
            suspect=False,
            luma=np.where(pages[number // 40] > 0, 250, 20).astype(np.uint8),
            colour=None,
        )
        for number in range(120)
    ]

    def views(num_windows):
        watcher = PageWatcher(2.0)
        return [
            watcher.views(
                WindowPlan(
                    window_id=str(n),
                    span=TimeRange(n * 10 * NS_PER_S, (n + 1) * 10 * NS_PER_S),
                    frame_pts=(),
                ),
                frames[20 * n : 20 * (n + 1)],
                video,
            )
            for n in range(num_windows)
        ]

    assert views(6)[:3] == views(3)


def test_footage_of_a_camera_has_no_slides():
    lobby = Path(pipeline.demo.__file__).parent / "lobby.mp4"
    video, results = look_at(lobby)
    assert all(result.views for result in results)
    assert slides_of_video(video, results, task="t") == []


def still(grey, *, rests=True):
    return Still(grey, np.full(grey.shape, rests))


def test_a_picture_without_rest_or_without_writing_is_no_page():
    blank = np.full((180, 320), 250, np.uint8)
    written = blank.copy()
    written[20:40, 20:100] = 10
    assert is_page(still(written))
    assert not is_page(still(blank))
    assert not is_page(still(written, rests=False))
    assert not is_page(still(np.zeros_like(blank)))


@pytest.mark.parametrize(("pixels", "change"), [(86, "same"), (87, "build")])
def test_a_change_begins_at_a_share_of_the_picture(pixels, change):
    before = np.full((180, 320), 250, np.uint8)
    before[20:40, 20:100] = 10
    after = before.copy()
    after[100].flat[:pixels] = 10  # 0.0015 of 57,600 pixels are 86.4
    assert change_between(still(before), still(after)) == change


def test_slides_are_refused_in_pictures_too_small_to_tell_them_apart():
    with pytest.raises(ValidationError, match=r"set frame\.luma_width to 320"):
        Config.model_validate({"slides": {}, "frame": {"luma_width": 318}})
    Config.model_validate({"slides": {}, "frame": {"luma_width": 320}})


def test_looking_for_slides_is_another_answer():
    plain = Config.model_validate({"frame": {"luma_width": 320}})
    assert plain.model_copy(update={"slides": CONFIG.slides}).fingerprint != plain.fingerprint


@pytest.fixture
def indexed(seen, tmp_path):
    """An index with the recording."""
    video, results = seen
    writer = pi.Writer(tmp_path / "index")
    writer.write_windows(windows_table([(video, result) for result in results], MADE_BY))
    commit(writer, WholeVideo(video=video, num_shards=1, results=results))
    return writer


def commit(writer, whole):
    made = finish_videos([whole], config=CONFIG, provenance=MADE_BY)
    join = partial(join_events, video_events=made.events, config=CONFIG, provenance=MADE_BY)
    writer.finish_videos(
        made.videos, segments=made.segments, slides=made.slides, join=join, reach=timedelta(0)
    )


def test_a_second_commit_leaves_the_same_slides(indexed, seen):
    before = indexed.index.slides().to_pylist()
    video, results = seen
    commit(indexed, WholeVideo(video=video, num_shards=1, results=results))
    assert indexed.index.slides().to_pylist() == before
    assert len(before) == len(ORDER)
    assert check(indexed.store) == []


def test_lost_slides_are_found_missing_and_derived_again(indexed):
    before = indexed.index.slides().to_pylist()
    replace_rows(indexed.store, "slides", SLIDES.empty_table(), "true")
    assert ["0 slides instead of" in finding.what for finding in check(indexed.store)] == [True]
    repair(indexed.store, derive)
    assert pi.Index(indexed.store).slides().to_pylist() == before
    assert check(indexed.store) == []


WRITTEN = {2: "Product price 9,900 EUR", 4: "产品价格 9,900 元"}
"""What is read on some of the pages."""


@pytest.fixture
def read(seen):
    """The same, with the words of ``WRITTEN``."""
    video, results = seen
    numbers = iter(ORDER)
    texts = {slide.picture: WRITTEN.get(next(numbers), "") for slide in slides_of(seen)}
    return video, tuple(
        replace(
            result,
            views=tuple(replace(view, text=texts.get(view.picture, "")) for view in result.views),
        )
        for result in results
    )


def test_words_on_pages_are_found_where_they_are_shown_and_erased_with_them(read, tmp_path):
    video, results = read
    writer = pi.Writer(tmp_path / "index")
    writer.write_windows(windows_table([(video, result) for result in results], MADE_BY))
    commit(writer, WholeVideo(video=video, num_shards=1, results=results))
    index = writer.index
    assert check(writer.store) == []
    shown = [row for row in index.slides().to_pylist() if row["text"]]
    found = by_words(index, "price", within="shown", order_by="time").to_pylist()
    assert [row["start"] for row in found] == [
        row["start"] for row in shown if "price" in row["text"]
    ]
    assert len(found) == ORDER.count(2)
    [chinese] = by_words(index, "价格 9,900", within="shown").to_pylist()
    assert (chinese["label"], chinese["excerpt"]) == ("page 3", "产品**价格** **9,900** 元")
    assert by_words(index, "price", within="seen").num_rows == 0
    assert index.slides(text="价格").num_rows == 1
    span = Span.parse(chinese["start"], chinese["end"])
    erase(writer.store, Scope(videos=(video.video_id,), span=span))
    assert by_words(pi.Index(writer.store), "价格").num_rows == 0
    kept = pi.Index(writer.store).windows().to_pylist()
    assert not [view for row in kept for view in row["views"] or () if "价格" in view["text"]]


@pytest.fixture
def with_deck(seen):
    """The recording with its deck, in which its pages stand in another order than they appear."""
    video, results = seen
    pages, texts = {}, {}
    for slide, number in zip(slides_of(seen), ORDER, strict=True):
        texts[number] = f"Unit {number}: {WRITTEN.get(number, 'no price')}"
        pages[number] = DeckPage(text=texts[number], picture=slide.picture)
    deck = tuple(pages.get(number, DeckPage(text=f"Page {number}")) for number in range(1, 13))
    return replace(video, deck=Deck(uri="talk.pdf", etag="7", pages=deck)), results


def test_pages_of_a_deck_are_found_shown_and_derived_again(with_deck, tmp_path):
    video, results = with_deck
    writer = pi.Writer(tmp_path / "index")
    writer.write_windows(windows_table([(video, result) for result in results], MADE_BY))
    commit(writer, WholeVideo(video=video, num_shards=1, results=results))
    before = writer.index.slides().to_pylist()
    assert [row["deck_page"] for row in before] == list(ORDER)
    assert by_words(writer.index, "unit 4", within="shown")["label"].to_pylist() == ["page 4"]
    assert writer.index.slides(text="unit 4")["deck_page"].to_pylist() == [4]
    [row] = writer.index.videos().to_pylist()
    assert [page["text"] for page in row["deck_pages"]] == [one.text for one in video.deck.pages]
    assert check(writer.store) == []
    wrong = pa.Table.from_pylist([one | {"deck_page": 13} for one in before], schema=SLIDES)
    replace_rows(writer.store, "slides", wrong, "true")
    assert ["its deck has not" in one.what for one in check(writer.store)] == [True]
    repair(writer.store, derive)
    assert pi.Index(writer.store).slides().to_pylist() == before


def test_erasing_a_part_erases_the_pages_of_the_deck(with_deck, tmp_path):
    video, results = with_deck
    writer = pi.Writer(tmp_path / "index")
    writer.write_windows(windows_table([(video, result) for result in results], MADE_BY))
    commit(writer, WholeVideo(video=video, num_shards=1, results=results))
    third = writer.index.slides().to_pylist()[2]
    span = Span.parse(third["start"], third["end"])
    erase(writer.store, Scope(videos=(video.video_id,), span=span))
    index = pi.Index(writer.store)
    [row] = index.videos().to_pylist()
    assert (row["deck_pages"], row["deck_etag"]) == (None, "7")
    assert by_words(index, "unit 4", within="shown").num_rows == 0
    assert check(writer.store) == []
    erase(writer.store, Scope(videos=(video.video_id,)))
    [row] = pi.Index(writer.store).videos().to_pylist()
    assert (row["deck_uri"], row["deck_etag"], row["deck_pages"]) == (None, None, None)


def test_a_page_is_read_once_in_a_shard_however_often_it_is_shown(shown):
    one = CONFIG.plan.model_copy(update={"shard_cost_s": 1e6, "max_window_frames": 20})
    [shard] = probe_and_plan(source_of(shown[0]), CONFIG.model_copy(update={"plan": one})).shards
    watcher, pictures = PageWatcher(2.0), []
    texts = PageTexts(lambda picture: pictures.append(picture) or f"read {len(pictures)}")
    wanted = [pts for plan in shard.windows for pts in plan.frame_pts]
    frames = {
        frame.pts: frame
        for frame in decode_frames(shard.video, shard.packets, wanted, frame=CONFIG.frame, rgb=True)
    }
    views = []
    for plan in shard.windows:
        taken = [frames[pts] for pts in plan.frame_pts]
        views += texts.added(watcher.views(plan, taken, shard.video), taken, shard.video)
    pages = [view for view in views if view.picture]
    assert all(view.text for view in pages)
    assert len(set(ORDER)) <= len(pictures) < len(pages)


def test_erasing_a_time_leaves_no_slide_and_no_picture_of_it(indexed, seen):
    video, _ = seen
    third = slides_of(seen)[2]
    start, end = (ns_to_datetime(ns) for ns in (third.span.start_ns, third.span.end_ns))
    erase(indexed.store, Scope(videos=(video.video_id,), span=Span.parse(start, end)))
    index = pi.Index(indexed.store)
    assert index.slides(start, end).num_rows == 0
    assert not [row for row in index.windows(start, end).to_pylist() if row["views"]]
    assert index.slides().num_rows == len(ORDER) - 1
    assert check(indexed.store) == []
