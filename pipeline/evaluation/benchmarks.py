"""Files of benchmarks: their truth, and what was found, as their own scorers read them.

activitynet   {"database": {video: {"annotations": [{"segment", "label"}]}}} and
{"results": {video: [{"label", "score", "segment"}]}}
qvhighlights  lines with qid, relevant_windows; and with qid, pred_relevant_windows
charades      lines ``VIDEO START END##SENTENCE``; and lines as of QVHighlights with vid, query
actev         activities of NIST, true and found, with an index of files and of activities
mot           MOTChallenge
soccernet     a game or a list of games: {"UrlLocal", "annotations": [{"gameTime", "label",
              "position"}]} and {"predictions": [{"half", "label", "position", "confidence"}]}
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pipeline.errors import ConfigError
from pipeline.evaluation import actev, spotting
from pipeline.evaluation.average_precision import detection_map
from pipeline.evaluation.matching import TimedEvent
from pipeline.evaluation.retrieval import queries_of_rows, retrieval
from pipeline.evaluation.tracks import score_tracks

Benchmark: TypeAlias = Literal[
    "activitynet", "qvhighlights", "charades", "actev", "mot", "soccernet"
]


def score_files(
    form: Benchmark,
    truth: Path,
    found: Path,
    *,
    file_index: Path | None = None,
    activity_index: Path | None = None,
) -> dict[str, Any]:
    """The figures of one benchmark.

    Raises:
        ConfigError: a file is missing, cannot be read, or has another form.
    """
    if form == "mot":
        return score_tracks(truth, found)
    if form == "actev" and (file_index is None or activity_index is None):
        raise ConfigError("actev needs --file-index and --activity-index too")
    try:
        match form:
            case "activitynet":
                return {"map": detection_map(_true_events(truth), _found_events(found))}
            case "soccernet":
                return spotting.average_map(
                    list(_spots(truth, "annotations")), _spots(found, "predictions")
                )
            case "charades":
                rows = list(_sentences(truth))
                return retrieval(queries_of_rows(rows, list(_lines(found))))
            case "qvhighlights":
                return retrieval(queries_of_rows(list(_lines(truth)), list(_lines(found))))
            case _:
                return actev.score(
                    _json(activity_index or truth),
                    actev.read_activities(_json(truth)),
                    actev.read_activities(_json(found)),
                    actev.read_footage(_json(file_index or truth)),
                )
    except OSError as exc:
        raise ConfigError(f"{exc.filename}: cannot be read: {exc.strerror}") from exc
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, ZeroDivisionError) as exc:
        raise ConfigError(
            f"{truth} or {found} does not have the form of {form}"
            f" ({type(exc).__name__}: {exc}); name another --truth-format"
        ) from exc


def _true_events(path: Path) -> list[TimedEvent]:
    return [
        _event(video, one)
        for video, about in _json(path)["database"].items()
        for one in about["annotations"]
    ]


def _found_events(path: Path) -> list[TimedEvent]:
    return [_event(video, one) for video, told in _json(path)["results"].items() for one in told]


def _event(video: str, told: Mapping[str, Any]) -> TimedEvent:
    start_s, end_s = told["segment"]
    return TimedEvent(
        group=video,
        label=told["label"],
        start_s=float(start_s),
        end_s=float(end_s),
        confidence=told.get("score"),
    )


def _spots(path: Path, kind: Literal["annotations", "predictions"]) -> Iterator[spotting.Spot]:
    """The moments of games; a position is in milliseconds of its half."""
    told = _json(path)
    for game in told if isinstance(told, list) else [told]:
        for one in game[kind]:
            half = str(one["half"]) if "half" in one else one["gameTime"].split(" ")[0]
            yield spotting.Spot(
                group=(game.get("UrlLocal", ""), half),
                label=one["label"],
                at_s=int(one["position"]) / 1000,
                confidence=float(one.get("confidence", 1.0)),
            )


def _sentences(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            times, _, sentence = line.partition("##")
            video, start_s, end_s = times.split()
            yield {
                "vid": video,
                "query": sentence,
                "relevant_windows": [[float(start_s), float(end_s)]],
            }


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            yield json.loads(line)


def _json(path: Path) -> Any:  # noqa: ANN401 - of the file
    return json.loads(path.read_text(encoding="utf-8"))
