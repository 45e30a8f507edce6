"""What the listing finds: files, what is known of them, and those that it passes over."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipeline.records import Source

if TYPE_CHECKING:
    from pipeline.sources.columns import ListedTable, SourceTable

CameraBy = Literal["path", "sidecar", "sources.camera", "folder", "file name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of this machine or of a store, by its metadata."""

    uri: str
    num_bytes: int = 0
    etag: str = ""
    mtime_ns: int | None = None
    problem: str = ""
    """Why it cannot be opened; "" if it can."""
    unreachable: str = ""
    """Why its medium does not say; a later run may succeed."""
    passed_over: str = ""
    """Why it is no video of its own; "" if it is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A video, and how its camera and its times are known."""

    source: Source
    camera_by: CameraBy
    zone: str
    """The zone that was assumed of the start; "" if something names it, or there is none yet."""
    rule: str
    """The profile or setting that read the path, "" if none could; its ``template`` likewise."""
    template: str
    end_ns: int | None
    """UTC at which the path says that the recording ends."""
    number: str | None
    """What the path says that the files of one recording share."""
    is_low_resolution: bool
    """Whether its path is that of a small twin of another file."""


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file that is not indexed, and why."""

    uri: str
    reason: str
    is_sidecar: bool = False
    """Whether it stands for a video beside it, and so is not passed over after all."""


@dataclass(frozen=True, slots=True)
class Listing:
    """All files at some locations."""

    videos: "ListedTable"
    """By camera, start and URI."""
    passed_over: tuple[PassedOver, ...]
    """By URI."""

    @property
    def sources(self) -> "SourceTable":
        """What a run indexes."""
        return self.videos.sources

    @property
    def num_passed_over(self) -> int:
        """Without the sidecars of videos."""
        return sum(not other.is_sidecar for other in self.passed_over)
