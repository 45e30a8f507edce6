"""Which page is spoken of: over decks whose pages are known, in English and Chinese."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline.index as pi
import timereel
from pipeline.demo.deck import Showing, ShownDeck, make_pages
from pipeline.errors import ConfigError
from pipeline.meetings.pages import COLUMNS, meaning
from pipeline.minutes import Pages, Topic, contradiction_of_topic, make_minutes, pages_on_screen
from pipeline.minutes.numbers import number_of_page
from pipeline.records import DeckPage
from pipeline.report.minutes import cited
from pipeline.tables.slides import slides_table
from pipeline.tables.utterances import utterances_table
from tests.index_rows import rows, video
from tests.talk import talk_over
from tests.unit.test_minutes import MADE_BY, says, shows

TEXTS = (
    "Agenda\nMarket data\nProduct price\nRisks",
    "Market data\nRevenue grew by 18%\nChurn fell",
    "Product price\nGateway 1,250 EUR\nSupport 99 EUR a year",
    "Risks\nThe contract of the vendor ends in June",
    "产品路线\n秋季发布新网关\n支持 4,700 台设备",
)
DECK = tuple(DeckPage(text=text) for text in TEXTS)


def shown_page(number, start_s=0, end_s=10):
    page = DECK[number - 1].text
    return shows(start_s, end_s, number, page, deck_page=number, deck_text=page)


def topic_of(text, on_screen, how=None):
    """What is told of a sentence over a page of the deck, of which no other is shown."""
    slides = [shown_page(on_screen)] if on_screen else []
    said = says(1, 3, text)
    return (
        Pages(slides, DECK, how)
        .topics([said], pages_on_screen([said], slides))
        .get(said.utterance_id)
    )


@pytest.mark.parametrize(
    ("text", "on_screen", "page", "reason"),
    [
        ("As slide 3 says, it is expensive.", 1, 3, "number: 3"),
        ("请看第二页", 1, 2, "number: 2"),
        ("Can we sell the gateway for 1250?", 1, 3, "words: 1250, gateway"),
        ("Back to the product price.", 2, 3, "words: price, product"),
        ("What are the risks?", 2, 4, "words: risk"),
        ("我们回到产品路线", 2, 5, "words: 产品, 品路, 路线"),
        ("支持四千台\uff0c就是 4700 台设备", None, 5, "words: 4700, 台设, 支持, 设备"),
    ],
)
def test_another_page_is_told_by_its_number_or_by_words_that_it_alone_has(
    text, on_screen, page, reason
):
    topic = topic_of(text, on_screen)
    assert topic
    assert (topic.page, topic.deck_page, topic.reason) == (None, page, reason)
    assert 0.5 < topic.score <= 1
    assert contradiction_of_topic(topic, text, DECK, ()) == ""


@pytest.mark.parametrize(
    ("text", "on_screen"),
    [
        ("This is slide 3.", 3),
        ("Slide 9 is missing.", 1),
        ("The gateway costs 1250 euros.", 3),
        ("First market data, then the product price.", 1),
        ("Thank you, can everybody hear me now?", 2),
        ("我们休息一下", 2),
        ("", 2),
    ],
)
def test_nothing_is_told_of_talk_about_the_page_on_the_screen_or_about_none(text, on_screen):
    assert topic_of(text, on_screen) is None


def test_a_number_means_no_page_where_the_deck_is_not_known():
    slides = [shows(0, 5, 1, "Agenda"), shows(5, 10, 2, "Product price\nGateway 1,250 EUR")]
    said = says(1, 3, "As slide 2 says")
    shown = pages_on_screen([said], slides)
    assert Pages(slides).topics([said], shown) == {}
    priced = replace(said, text="the gateway is 1250")
    [topic] = Pages(slides).topics([priced], shown).values()
    assert (topic.page, topic.deck_page) == (2, None)


@pytest.mark.parametrize(
    ("text", "page", "position"),
    [
        ("As the previous slide says", 2, "previous"),
        ("Let us go one slide back.", 2, "previous"),
        ("More of it on the next page.", 4, "next"),
        ("如上一页所说", 2, "previous"),
        ("请看下一页", 4, "next"),
        ("The last page of the deck is a summary.", 5, "last"),
        ("最后一页是总结", 5, "last"),
        ("It began with the title, see the first slide.", 1, "number"),
        ("As we saw on the last slide", None, ""),
        ("On the last page of the contract", None, ""),
        ("Not the previous slide, the next slide!", None, ""),
        ("还剩下一页", None, ""),
    ],
)
def test_a_page_is_told_by_its_position_in_the_deck(text, page, position):
    slides = [shown_page(number, 10 * number, 10 * number + 10) for number in (2, 3, 4)]
    said = says(31, 33, text)
    shown = pages_on_screen([said], slides)
    topic = Pages(slides, DECK).topics([said], shown).get(said.utterance_id)
    assert (topic.deck_page if topic else None) == page
    if topic:
        assert topic.sign in ("position", "number")
        assert topic.reason == (f"position: {position}" if position != "number" else "number: 1")
        assert contradiction_of_topic(topic, text, DECK, slides, slides[1]) == ""


def test_without_a_deck_positions_are_those_of_the_pages_shown():
    slides = [shows(10 * n, 10 * n + 10, page, f"p{page}") for n, page in enumerate((1, 2, 1, 3))]
    said = [says(21, 23, f"the {which} page") for which in ("previous", "next", "first", "last")]
    said += [says(1, 3, "the previous page"), says(50, 51, "the next page")]
    topics = Pages(slides).topics(said, pages_on_screen(said, slides))
    found = [topics.get(one.utterance_id) for one in said]
    assert [topic and topic.page for topic in found] == [2, 3, None, 3, None, None]


def test_no_page_is_next_where_pages_were_not_shown_in_the_order_of_the_deck():
    slides = [shown_page(number, 10 * at, 10 * at + 10) for at, number in enumerate((1, 3, 2))]
    said = [says(11, 13, "the next slide"), says(11, 13, "the previous slide")]
    said += [says(21, 23, "the next slide")]
    topics = Pages(slides, DECK).topics(said, pages_on_screen(said, slides))
    assert [one.utterance_id in topics for one in said] == [False, False, True]


@pytest.mark.parametrize(
    ("change", "text", "at", "why"),
    [
        ({}, "the previous slide", 1, ""),
        ({}, "the next slide", 1, "no such position"),
        ({"evidence": ("next",)}, "the next slide", 1, "the next page is another one"),
        ({"deck_page": 3}, "the previous slide", 1, "another one"),
        ({"deck_page": 9}, "the previous slide", 1, "no such page"),
        ({}, "the previous slide", 2, "another one"),
        ({}, "the previous slide", None, "another one"),
    ],
)
def test_a_position_that_the_rows_do_not_bear_out_cannot_stand(change, text, at, why):
    slides = [shown_page(number, 10 * number, 10 * number + 10) for number in (2, 3, 4)]
    topic = replace(
        Topic(page=1, deck_page=2, score=1.0, sign="position", evidence=("previous",)), **change
    )
    on_screen = None if at is None else slides[at]
    found = contradiction_of_topic(topic, text, DECK, slides, on_screen)
    assert found.endswith(why) if why else found == ""


def test_words_are_found_where_a_reader_has_lost_the_spaces():
    slides = [shows(0, 5, 1, "Agenda"), shows(5, 10, 2, "Productprice\nGateway1,250EUR")]
    said = says(1, 3, "Back to the product price of the gateway")
    [topic] = Pages(slides).topics([said], pages_on_screen([said], slides)).values()
    assert topic.page == 2


@pytest.mark.parametrize(
    ("text", "on_screen", "page"),
    [
        ("我们回到市场数据", 3, 2),
        ("供应商的合同六月到期", 2, 4),
        ("大家好\uff0c欢迎参加会议", 2, None),
    ],
)
def test_chinese_speech_finds_the_page_of_an_english_deck_by_what_is_meant(text, on_screen, page):
    topic = topic_of(text, on_screen, meaning())
    assert (topic.deck_page if topic else None) == page
    if topic:
        assert topic.sign == "meaning"
        assert topic_of(text, on_screen) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("slide 3", 3), ("Page Five.", 5), ("slide number seventeen", 17), ("page no. 12", 12),
        ("the third slide", 3), ("the 22nd page", 22), ("第十二页", 12), ("第二十张", 20),
        ("第三十五页", 35), ("第 7 頁", 7), ("幻灯片 4", 4), ("slide 3 and page 4", None),
        ("slides are nice", None), ("3 pages", None), ("slides 3 and 5", None),
    ],
)  # fmt: skip
def test_numbers_of_pages_are_understood_in_figures_and_words(text, number):
    assert number_of_page(text) == number


@pytest.mark.parametrize("language", ["en", "zh"])
def test_pages_spoken_of_in_generated_talk_are_found_and_no_others_invented(language):
    pages = make_pages(31, english=True)
    showings = tuple(
        Showing(page=number, start_s=25.0 * at, end_s=25.0 * (at + 1))
        for at, number in enumerate((1, 2, 3, 4, 6, 2, 7, 8, 9, 11, 12))
    )
    told = talk_over(ShownDeck(pages=pages, showings=showings), 31, language)
    deck = [DeckPage(text=page.text) for page in pages]
    slides = [
        shows(
            one.start_s, one.end_s, one.page, deck_page=one.page, deck_text=deck[one.page - 1].text
        )
        for one in showings
    ]
    said = [one.utterance for one in told]
    topics = Pages(slides, deck, meaning()).topics(said, pages_on_screen(said, slides))
    right: Counter[tuple[bool, bool]] = Counter()
    for one in told:
        topic = topics.get(one.utterance.utterance_id)
        page = topic.deck_page if topic else one.on_screen
        right[one.about != one.on_screen, page == one.about] += 1
    assert right[True, True] >= 0.8 * (right[True, True] + right[True, False]) > 10
    assert right[False, False] <= 0.02 * right[False, True]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"deck_page": 2}, "the page does not say"),
        ({"deck_page": 6}, "no such page"),
        ({"evidence": ("support",)}, "nobody says support"),
        ({"sign": "number"}, "names no such number"),
    ],
)
def test_a_topic_that_speech_and_page_do_not_bear_out_cannot_stand(change, why):
    text = "Can we sell the gateway for 1250?"
    topic = topic_of(text, 1)
    assert why in contradiction_of_topic(replace(topic, **change), text, DECK, ())


_WORDS = ("slide", "page", "3", "gateway", "1,250", "price", "产品", "价格", "a", ".", "\n")
_TEXTS = st.lists(st.sampled_from(_WORDS))


@settings(max_examples=60)
@given(said=_TEXTS.map(" ".join), pages=st.lists(_TEXTS.map(" ".join), max_size=5))
def test_every_topic_is_borne_out_by_the_words_of_speech_and_page(said, pages):
    slides = [shows(0, 5, 1, pages[0], deck_page=1, deck_text=pages[0])] if pages else []
    deck = [DeckPage(text=page) for page in pages]
    spoken = says(1, 3, said)
    topics = Pages(slides, deck).topics([spoken], pages_on_screen([spoken], slides))
    for topic in topics.values():
        assert contradiction_of_topic(topic, said, deck, slides) == ""
        assert topic.deck_page != 1
        assert 0 < topic.score <= 1


SAID = (says(1, 3, "Can we sell the gateway for 1250?", "Ada"), says(4, 6, "Welcome.", "Bo"))


def test_minutes_say_which_page_a_sentence_is_about():
    [chapter] = make_minutes(SAID, [shown_page(1)], DECK).chapters
    assert [cited(note) for note in chapter.said] == [
        "0:00:01, page 1 of the deck, about page 3 of the deck", "0:00:04, page 1 of the deck",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    writer = pi.Writer(tmp_path_factory.mktemp("topics") / "index")
    pages = [{"text": page.text, "picture": ""} for page in DECK]
    other = replace(SAID[0], video_id="v2", uri="v2.mp4", utterance_id="elsewhere")
    room = replace(SAID[0], video_id="v3", uri="v3.mp4", utterance_id="in a room")
    writer.finish_videos(
        rows(
            "videos",
            video("v1", task=MADE_BY.task, deck_pages=pages),
            video("v2", task=MADE_BY.task),
            video("v3", task=MADE_BY.task, deck_pages=pages),
        ),
        utterances=utterances_table([*SAID, other, room], MADE_BY),
        slides=slides_table([shown_page(1)], MADE_BY),
    )
    return writer.index


def test_utterances_are_listed_with_their_pages(index, cli):
    told = {
        row["utterance_id"]: [row[name] for name in COLUMNS.names]
        for row in timereel.with_pages(index, index.utterances()).to_pylist()
    }
    first, second = (one.utterance_id for one in SAID)
    assert told[first] == [1, 1, None, 3, 1.0, "words: 1250, gateway"]
    assert told[second] == [1, 1, *[None] * 4]
    assert told["elsewhere"] == [None] * 6
    assert told["in a room"] == [None, None, None, 3, 1.0, "words: 1250, gateway"]
    asked = ("query", "--index", index.store.root, "--table", "utterances", "--video", "v1")
    assert [row["topic_deck_page"] for row in cli.rows(*asked, "--pages")] == [3, None]
    assert "topic_deck_page" not in cli.rows(*asked)[0]


def test_pages_are_asked_of_whole_rows_of_utterances_alone(index, cli):
    with pytest.raises(ConfigError, match=r"have no .*utterance_id"):
        timereel.with_pages(index, index.slides())
    cli.run("query", "--index", index.store.root, "--table", "slides", "--pages", code=2)
    assert "--table utterances" in cli.err
