"""Erases what speakers say: their utterances, and their part of the answers in windows.

Minutes that a model wrote of such a recording go as a whole, since they tell it in other words.

The footage stays heard, so that nobody listens to it again for the sake of the others. A warning of
the video says that words are missing.
"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from pipeline.errors import WindowError
from pipeline.index.erase_commits import chunks, replace_of_videos, replace_rows
from pipeline.index.filters import Cameras, Where
from pipeline.index.query import Index
from pipeline.index.scope import Row, Scope
from pipeline.records import Said
from pipeline.records.speech import HEARD
from pipeline.tables.said import read_said, write_said
from pipeline.tables.schema import TableName
from pipeline.timebase import TimeRange

WARNING = "words of a speaker were erased"
_OF_VIDEO = ("video_id", "task", "fingerprint")
_OF_MOMENT = (*_OF_VIDEO, "start", "end")
_key = itemgetter(*_OF_VIDEO)
_moment = itemgetter(*_OF_MOMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenRows:
    """The rows of an index that hold words of the speakers of a scope."""

    utterances: Sequence[Row]
    """They go."""
    vectors: Sequence[Row]
    """Of these utterances; they go, too."""
    minutes: Sequence[Row]
    """Rows of ``summaries`` that were written from these and other utterances; they go."""
    windows: Sequence[Row]
    """Whole rows; their answers are written without these words."""
    heard: Sequence[Row]
    """Rows of ``videos`` of the videos in which they speak."""
    speakers: frozenset[str]

    @property
    def videos(self) -> list[tuple[Row, bool]]:
        """Those rows, and that none of them goes as a whole."""
        return [(row, False) for row in self.heard]

    @property
    def num_rows(self) -> dict[str, int]:
        """Number of rows that are removed or written anew, by table."""
        found: Mapping[TableName, Sequence[Row]] = {
            "windows": self.windows,
            "utterances": self.utterances,
            "vectors": self.vectors,
            "summaries": self.minutes,
        }
        return {name: len(rows) for name, rows in found.items()}


def find_spoken_rows(index: Index, scope: Scope) -> SpokenRows:
    """The rows with words of the speakers of a scope."""
    columns = ["utterance_id", "camera", "uri", *_OF_MOMENT, "date"]
    spoken = scope.of_videos().is_one_of("speaker", scope.speakers)
    utterances = index.select_all("utterances", spoken, cameras=scope.cameras, columns=columns)
    named = [
        Where().add("contains(completion, ?)", json.dumps(name, ensure_ascii=False))
        for name in scope.speakers
    ]
    naming = scope.of_videos().add("task = ?", HEARD).also(Where.any_of(named))
    windows = index.select_all("windows", naming, cameras=scope.cameras)
    speakers = frozenset(scope.speakers)
    said = utterances.to_pylist()
    answers = [row for row in windows.to_pylist() if _kept(row, speakers) != _said(row)]
    ids = {row["video_id"] for row in (*said, *answers)}
    heard = Where().is_one_of("video_id", ids).add("task = ? AND status <> 'erased'", HEARD)
    return SpokenRows(
        utterances=said,
        vectors=_vectors_of(index, said),
        minutes=_minutes_of(index, ids),
        windows=answers,
        heard=index.select_all("videos", heard).to_pylist() if ids else [],
        speakers=speakers,
    )


def of_speaking_videos(scope: Scope, rows: SpokenRows) -> Scope:
    """The scope with the videos in which they speak: a later recording is not concerned.

    They are named by id and by uri: one of them stays if the file is moved, or its clock corrected.
    """
    found = (*rows.utterances, *rows.windows, *rows.heard)
    names = {row[column] for row in found for column in ("video_id", "uri")}
    return replace(
        scope,
        videos=tuple(sorted(names)),
        known_videos=frozenset(names),
        cameras=Cameras(exact=tuple(sorted({row["camera"] for row in found}))),
    )


def remove_spoken_rows(index: Index, rows: SpokenRows) -> None:
    """Remove the words from every table.

    The answers in windows change last: until then a call that was killed finds all of them again.
    """
    store = index.store
    gone = Counter(map(_key, rows.utterances))
    for chunk in chunks(rows.heard, "task", "fingerprint"):
        # Counted as after the removal, so that it may be done twice.
        of_chunk = Where().is_one_of("video_id", {row["video_id"] for row in chunk})
        stored = index.select_all("utterances", of_chunk, columns=_OF_VIDEO).to_pylist()
        left = Counter(map(_key, stored)) - gone
        changed = [
            row
            | {
                "num_utterances": left[_key(row)],
                "warnings": [*dict.fromkeys([*row["warnings"], WARNING])],
            }
            for row in chunk
        ]
        replace_of_videos(store, "videos", chunk, changed, "task", "fingerprint")
    replace_rows(store, "vectors", rows.vectors, [])
    replace_rows(store, "summaries", rows.minutes, [])
    replace_rows(store, "utterances", rows.utterances, [])
    replace_rows(
        store,
        "windows",
        rows.windows,
        [
            row | {"completion": write_said(_kept(row, rows.speakers), _span(row))}
            for row in rows.windows
        ],
    )


def _vectors_of(index: Index, utterances: Sequence[Row]) -> list[Row]:
    """Vectors do not name their rows: those of the same moment of the same video are theirs."""
    if not utterances:
        return []
    where = Where().is_one_of("video_id", {row["video_id"] for row in utterances})
    moments = set(map(_moment, utterances))
    columns = ["vector_id", *_OF_MOMENT, "date"]
    found = index.select_all("vectors", where, columns=columns).to_pylist()
    return [row for row in found if _moment(row) in moments]


def _minutes_of(index: Index, video_ids: Collection[str]) -> list[Row]:
    """Minutes of videos in which they still speak; written later, they know nothing of it."""
    if not video_ids:
        return []
    where = Where().is_one_of("video_id", video_ids).add("level = 'minutes'")
    columns = ["summary_id", *_OF_MOMENT, "date"]
    found: list[Row] = index.select_all("summaries", where, columns=columns).to_pylist()
    return found


def _span(row: Row) -> TimeRange:
    return TimeRange(row["media_start_ns"], row["media_end_ns"])


def _said(row: Row) -> tuple[Said, ...] | None:
    try:
        return read_said(row["completion"], _span(row))
    except WindowError:
        return None  # nobody knows whose words it holds


def _kept(row: Row, speakers: frozenset[str]) -> tuple[Said, ...]:
    """What others say; an answer that cannot be read goes as a whole."""
    return tuple(one for one in _said(row) or () if one.speaker not in speakers)
