"""Erases what speakers say: their utterances, and their part of the answers in windows.

Minutes that a model wrote of such a recording go as a whole, since they tell it in other words.

The footage stays heard, so that nobody listens to it again for the sake of the others. A warning of
the video says that words are missing.

Who speaks may follow from the voices in all windows of a video. Then these windows are written with
the speakers of the utterances, and without the voices: nobody could be told again whose words are
gone, and the others keep their numbers.
"""

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any

from pipeline.errors import WindowError
from pipeline.index.erase_commits import chunks, replace_of_videos, replace_rows
from pipeline.index.filters import Cameras, Where
from pipeline.index.query import Index
from pipeline.index.scope import Row, Scope
from pipeline.records import Said, Word
from pipeline.records.speech import HEARD
from pipeline.tables.said import read_said, write_said
from pipeline.tables.schema import TableName
from pipeline.timebase import NS_PER_MS, NS_PER_S, TimeRange, seconds_to_ns

WARNING = "words of a speaker were erased"
_OF_VIDEO = ("video_id", "task", "fingerprint")
_OF_MOMENT = (*_OF_VIDEO, "start", "end")
_key = itemgetter(*_OF_VIDEO)
_moment = itemgetter(*_OF_MOMENT)
_window = itemgetter("window_id", *_OF_VIDEO)


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
    voiced: Sequence[tuple[Row, str]]
    """Whole rows with voices, each with the answer that it gets: that of the others, by name."""
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
            "windows": [*self.windows, *(row for row, _ in self.voiced)],
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
    voiced = _voiced(index, said, speakers)
    known = {_window(row) for row, _ in voiced}
    answers = [
        row
        for row in windows.to_pylist()
        if _window(row) not in known and _kept(row, speakers) != _said(row)
    ]
    ids = {row["video_id"] for row in (*said, *answers)}
    heard = Where().is_one_of("video_id", ids).add("task = ? AND status <> 'erased'", HEARD)
    return SpokenRows(
        utterances=said,
        vectors=_vectors_of(index, said),
        minutes=_minutes_of(index, ids),
        windows=answers,
        voiced=voiced,
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

    Where voices told who speaks, the utterances are what names them: so these windows change first.
    The answers that name a speaker themselves change last: until then a call that was killed finds
    all of them again.
    """
    store = index.store
    replace_rows(
        store,
        "windows",
        [row for row, _ in rows.voiced],
        [row | {"completion": answer, "voices": []} for row, answer in rows.voiced],
    )
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


def _voiced(index: Index, spoken: Sequence[Row], speakers: frozenset[str]) -> list[tuple[Row, str]]:
    """The windows with voices of the videos in which they speak, and what each then says."""
    if not spoken:
        return []
    keys = set(map(_key, spoken))
    of_videos = Where().is_one_of("video_id", {row["video_id"] for row in spoken})
    windows = index.select_all("windows", of_videos.also(Where().add("len(voices) > 0")))
    named: dict[tuple[Any, ...], list[Row]] = {}
    for row in index.select_all("utterances", of_videos).to_pylist():
        for window_id in row["window_ids"]:
            named.setdefault((window_id, *_key(row)), []).append(row)
    return [
        (row, write_said(_named(row, named.get(_window(row), ()), speakers), _span(row)))
        for row in windows.to_pylist()
        if _key(row) in keys
    ]


def _named(row: Row, utterances: Iterable[Row], speakers: frozenset[str]) -> Iterator[Said]:
    """What others say in a window, one for each of its utterances, with its speaker."""
    by_track: dict[int, list[Row]] = {}
    for utterance in sorted(utterances, key=itemgetter("media_start")):
        by_track.setdefault(utterance["track"], []).append(utterance)
    words = [(one.track, word) for one in _said(row) or () for word in one.words]
    for track, of_track in by_track.items():
        starts_s = [one["media_start"] for one in of_track]
        inside: list[list[Word]] = [[] for _ in of_track]
        for its_track, word in words:
            at_s = (word.span.start_ns + NS_PER_MS // 2) / NS_PER_S  # the table rounds
            if its_track == track and at_s >= starts_s[0]:
                inside[bisect_right(starts_s, at_s) - 1].append(word)
        for utterance, its_words in zip(of_track, inside, strict=True):
            if utterance["speaker"] not in speakers:
                start_ns, end_ns = (
                    seconds_to_ns(utterance[name]) for name in ("media_start", "media_end")
                )
                yield Said(
                    span=TimeRange(start_ns, end_ns),
                    text=utterance["text"],
                    track=track,
                    speaker=utterance["speaker"],
                    language=utterance["language"],
                    words=tuple(its_words),
                    speaker_confidence=utterance["speaker_confidence"],
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
