"""What the index holds when a run begins: which files need nothing, and which failed before."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from pipeline.config import Config
from pipeline.index import Writer, cut_ids, erased_videos, failed_videos
from pipeline.records import Source, Video
from pipeline.timebase import ClockCorrection, ns_to_datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Files and videos of the index, as they were when the run began."""

    finished_ids: AbstractSet[str]
    """Of videos that are indexed under this setting, or that were erased as a whole."""
    finished_files: AbstractSet[tuple[Any, ...]]
    failures: AbstractSet[tuple[Any, ...]]
    erased_contents: AbstractSet[tuple[str, str]]
    """Content id and camera: a clock set right moves footage away from where it was erased."""

    def is_finished(self, source: Source, config: Config) -> bool:
        """Whether the index holds the source as it is now."""
        return _as_listed(source, config.clock.of(source.camera)) in self.finished_files

    def has_failed(self, file: Source | Video, error: str) -> bool:
        """Whether the same bytes failed before, in the same way."""
        return (file.uri, file.num_bytes, file.etag, error) in self.failures


def read_known(
    writer: Writer, config: Config, *, include_erased: bool, retry_failed: bool
) -> Known:
    """Ask the index; see ``index_archive`` for the two choices."""
    rows = writer.finished(config.task.name, config.fingerprint).to_pylist()
    not_finished = {"failed", "erased", *(["partial"] if retry_failed else [])}
    finished = [row for row in rows if row["status"] not in not_finished]
    erased = [] if include_erased else erased_videos(writer.index).to_pylist()
    if include_erased:
        wanted_again = cut_ids(writer.index)
        finished = [row for row in finished if row["video_id"] not in wanted_again]
    finished += erased
    failed = failed_videos(writer.index, config.task.name).to_pylist()
    return Known(
        finished_ids={row["video_id"] for row in finished},
        finished_files={_as_indexed(row) for row in finished},
        failures={(row["uri"], row["num_bytes"], row["etag"], row["error"]) for row in failed},
        erased_contents={(row["content_id"], row["camera"]) for row in erased},
    )


def _as_indexed(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a file was when it was indexed: its bytes, its camera and what was said of its time."""
    told = row["clock_start"] if row["clock"] in ("path", "sidecar") else None
    content = row["uri"], row["num_bytes"], row["etag"]
    return (*content, row["camera"], row["clock_correction"], told)


def _as_listed(source: Source, correction: ClockCorrection) -> tuple[Any, ...]:
    """The same of a file as it is now; a name or a clock set right makes it another."""
    told = None
    if source.start_ns is not None:
        told = ns_to_datetime(correction.utc_ns(source.start_ns))
    content = source.uri, source.num_bytes, source.etag
    return (*content, source.camera, str(correction), told)
