"""What an index knows of one recorded meeting: its rows, what is said in it, and its pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import ConfigError, NoSourcesError
from pipeline.index import Index
from pipeline.meetings.pages import Shown, shown_in
from pipeline.records import Utterance, make_id
from pipeline.tables.utterances import utterances_of_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One video."""

    rows: Sequence[dict[str, Any]]
    """Of the table ``videos``, one for each pass."""
    utterances: tuple[Utterance, ...]
    """In the order of time."""
    shown: Shown

    @property
    def video_id(self) -> str:
        """Its id."""
        return str(self.rows[0]["video_id"])

    @property
    def inputs_id(self) -> str:
        """Hash of what is said and shown: equal as long as minutes of it are up to date."""
        said = ((o.utterance_id, o.media, o.speaker, o.text) for o in self.utterances)
        pages = ((s.slide_id, s.media, s.page, s.deck_page, s.written) for s in self.shown.slides)
        return make_id(*said, "pages", *pages)


def read_recording(index: Index, video: str) -> Recording:
    """The video with this id or uri, or whose uri ends so.

    Raises:
        NoSourcesError: the index has no such video.
        ConfigError: several videos are called so.
    """
    rows = index.videos(video=video).to_pylist()
    if not rows:
        raise NoSourcesError(
            f"no video {video}; timereel query --table videos lists their uri and video_id"
        )
    if len(uris := sorted({row["uri"] for row in rows})) > 1:
        raise ConfigError(f"{video} names {len(uris)} videos, such as {uris[0]} and {uris[1]}")
    video_id = rows[0]["video_id"]
    utterances = utterances_of_table(index.utterances(video=video_id))
    return Recording(
        rows=rows,
        utterances=tuple(sorted(utterances, key=lambda one: one.media)),
        shown=shown_in(index, [video_id]).get(video_id, Shown()),
    )
