"""The pages of what is said: on the screen meanwhile, and spoken of. Read from an index."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

from pipeline.config import EmbeddingConfig
from pipeline.engine.embed import open_embedder
from pipeline.errors import ConfigError, EngineStartError
from pipeline.index import Index
from pipeline.index.filters import Where
from pipeline.minutes import Meaning, Pages, pages_on_screen
from pipeline.minutes.topic import Vectors
from pipeline.records import DeckPage, Slide, Utterance
from pipeline.tables.schema import SLIDES, UTTERANCES
from pipeline.tables.slides import slides_of_table
from pipeline.tables.utterances import whole_utterances_of_table

COLUMNS = pa.schema(
    [
        ("page", pa.int32()),
        ("deck_page", pa.int32()),
        ("topic_page", pa.int32()),
        ("topic_deck_page", pa.int32()),
        ("topic_score", pa.float32()),
        ("topic_reason", pa.string()),
    ]
)
"""The page on the screen, and the one that is spoken of where that is another; null where nobody
knows. ``page`` counts as in the table ``slides``, ``deck_page`` is the number in the deck."""


_MOST_REMEMBERED = 20_000
"""Texts, of which each vector has 2 kB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The pages of one video."""

    slides: tuple[Slide, ...] = ()
    """Of one task, without their pictures."""
    deck: tuple[DeckPage, ...] = ()
    """What they show, without pictures; () if that is not known."""


def shown_in(index: Index, video_ids: Iterable[str]) -> dict[str, Shown]:
    """By id of the video its pages: those of its slides, and of the deck beside it.

    Where several tasks see the same pages, they are those of the task that found the most.
    """
    where = Where().is_one_of("video_id", sorted(set(video_ids)))
    names = [name for name in SLIDES.names if name != "picture"]
    rows = index.select("slides", where, columns=names)
    rows = rows.append_column("picture", pa.repeat("", rows.num_rows))
    counts = Counter(zip(rows["video_id"].to_pylist(), rows["task"].to_pylist(), strict=True))
    chosen: dict[str, str] = {}
    for (video_id, task), _ in sorted(counts.items(), key=lambda found: (-found[1], found[0])):
        chosen.setdefault(video_id, task)
    slides: dict[str, list[Slide]] = {}
    for slide, task in zip(slides_of_table(rows), rows["task"].to_pylist(), strict=True):
        if chosen[slide.video_id] == task:
            slides.setdefault(slide.video_id, []).append(slide)
    videos = index.select("videos", where, columns=["video_id", "task", "deck_pages"]).to_pylist()
    decks = {
        row["video_id"]: tuple(DeckPage(text=page["text"]) for page in row["deck_pages"])
        for row in videos
        if row["deck_pages"] and chosen.get(row["video_id"], row["task"]) == row["task"]
    }
    return {
        video_id: Shown(slides=tuple(slides.get(video_id, ())), deck=decks.get(video_id, ()))
        for video_id in slides.keys() | decks.keys()
    }


def with_pages(index: Index, rows: pa.Table) -> pa.Table:
    """Rows of ``utterances`` with the ``COLUMNS`` beside them, which no table stores.

    What is meant is only told where the model of the extra ``search`` is installed. Of a row that
    another program has written, as one without a time in its file, nothing is told.

    Raises:
        ConfigError: the rows are no whole rows of ``utterances``.
    """
    if missing := sorted(set(UTTERANCES.names) - set(rows.column_names)):
        raise ConfigError(
            f"pages: the rows have no {', '.join(missing)}; give whole rows of utterances"
        )
    said: dict[str, list[Utterance]] = {}
    for one in whole_utterances_of_table(rows):
        said.setdefault(one.video_id, []).append(one)
    found: dict[str, tuple[object, ...]] = {}
    for video_id, shown in shown_in(index, said).items():
        found |= _pages_of(said[video_id], shown)
    nothing = (None,) * len(COLUMNS)
    values = [found.get(name, nothing) for name in rows["utterance_id"].to_pylist()]
    for at, field in enumerate(COLUMNS):
        column = pa.array([value[at] for value in values], field.type)
        rows = rows.append_column(field, column)
    return rows


def _pages_of(said: Sequence[Utterance], shown: Shown) -> dict[str, tuple[object, ...]]:
    on_screen = pages_on_screen(said, shown.slides)
    topics = Pages(shown.slides, shown.deck, meaning()).topics(said, on_screen)
    found: dict[str, tuple[object, ...]] = {}
    for one in said:
        slide, topic = on_screen[one.utterance_id], topics.get(one.utterance_id)
        here = (slide.page, slide.deck_page) if slide else (None, None)
        about = (topic.page, topic.deck_page, topic.score, topic.reason) if topic else (None,) * 4
        found[one.utterance_id] = (*here, *about)
    return found


@cache
def meaning() -> Meaning | None:
    """What tells the meaning of texts on this machine; None if that is not installed.

    It remembers the texts of before: whoever looks through a meeting asks for the same ones.
    """
    try:
        return _Remembering(open_embedder(EmbeddingConfig(kind="local")).texts)
    except EngineStartError:
        return None


class _Remembering:
    """Makes the vectors of new texts, some 8 ms of a CPU each; may be called by many threads."""

    def __init__(self, texts: Meaning) -> None:
        self._texts = texts
        self._known: dict[str, Vectors] = {}

    def __call__(self, texts: Sequence[str]) -> Vectors:
        known = self._known if len(self._known) < _MOST_REMEMBERED else {}
        if new := [text for text in dict.fromkeys(texts) if text not in known]:
            # Another dict, so that no other thread sees one that is half filled, or emptied.
            self._known = known = known | dict(zip(new, self._texts(new), strict=True))
        return np.stack([known[text] for text in texts])
