"""What a run has done so far, and what it prints at the end."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.flow.ledger import WholeVideo
from pipeline.records import WindowResult, WindowStatus
from pipeline.timebase import NS_PER_S


@dataclass(slots=True)
class Report:
    """Counts of one run; the driver alone writes them."""

    index: str
    num_sources: int
    started_s: float = field(default_factory=time.monotonic)
    videos_done: int = 0
    videos_skipped: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    """URI and reason."""
    planned_ns: int = 0
    """Footage of the videos that were probed and have work left."""
    analysed_ns: int = 0
    video_ns: int = 0
    """Footage of the videos that this run finished."""
    windows: dict[WindowStatus, int] = field(
        default_factory=lambda: {"analysed": 0, "quiet": 0, "failed": 0}
    )
    num_events: int = 0
    num_segments: int = 0
    num_prompt_tokens: int = 0
    num_output_tokens: int = 0
    decode_cpu_s: float = 0.0

    @property
    def wall_s(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started_s

    @property
    def real_time_factor(self) -> float:
        """Seconds of footage looked at per second of the run."""
        return self.analysed_ns / NS_PER_S / max(self.wall_s, 1e-9)

    @property
    def eta_s(self) -> float | None:
        """Seconds until the planned footage is looked at; None while nothing is known."""
        left_ns = self.planned_ns - self.analysed_ns
        return left_ns / NS_PER_S / self.real_time_factor if self.analysed_ns else None

    def book(self, result: WindowResult) -> None:
        """Count one window that this run settled."""
        self.windows[result.status] += 1
        self.analysed_ns += result.span.duration_ns
        self.num_prompt_tokens += result.num_prompt_tokens
        self.num_output_tokens += result.num_output_tokens
        self.decode_cpu_s += result.decode_cpu_s

    def finish(self, whole: WholeVideo, *, failed_because: str) -> None:
        """Count one video whose rows are committed."""
        if failed_because:
            self.failures.append((whole.video.uri, failed_because))
            return
        self.videos_done += 1
        self.video_ns += sum(footage.duration_ns for footage in whole.video.footage)

    def to_json(self) -> dict[str, object]:
        """The object that ``timereel index --json`` prints last."""
        return {
            "videos": {
                "done": self.videos_done,
                "skipped": self.videos_skipped,
                "failed": len(self.failures),
            },
            "video_hours": round(self.video_ns / NS_PER_S / 3600, 6),
            "windows": dict(self.windows),
            "events": self.num_events,
            "segments": self.num_segments,
            "tokens": {"prompt": self.num_prompt_tokens, "output": self.num_output_tokens},
            "wall_s": round(self.wall_s, 3),
            "decode_cpu_s": round(self.decode_cpu_s, 3),
            "real_time_factor": round(self.real_time_factor, 2),
            "failures": [{"uri": uri, "error": error} for uri, error in self.failures],
            "index": self.index,
        }


OnProgress = Callable[[Report], None]
