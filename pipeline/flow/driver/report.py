"""What a run has done so far, and what it prints at the end. No Ray here."""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.errors import (
    EXIT_BUDGET,
    EXIT_INCOMPLETE,
    EXIT_OK,
    EXIT_SOME_FAILED,
    FailOn,
)
from pipeline.flow.driver.ledger import PendingVideo, WholeVideo
from pipeline.flow.driver.spent import SECONDS_PER_HOUR, Spent
from pipeline.records import EndState, IndexedFile, Run, RunFigures, WindowResult, WindowStatus
from pipeline.timebase import NS_PER_S


@dataclass(frozen=True, slots=True)
class FailedFile:
    """A file that could not be indexed, and why."""

    uri: str
    error: str
    known: bool
    """Whether the same file failed with the same error before this run."""


@dataclass(frozen=True, slots=True)
class OutstandingFile:
    """A file that could not be read to its end, and why; a later run indexes the rest."""

    uri: str
    error: str


@dataclass(slots=True)
class Report:
    """Counts of one run. Only the driver writes them."""

    index: str
    num_sources: int
    started_s: float = field(default_factory=time.monotonic)
    videos_done: int = 0
    videos_skipped: int = 0
    videos_superseded: int = 0
    """Videos of which other files of their camera own all of the time."""
    waiting: list[str] = field(default_factory=list)
    """URIs of files that are still being written; a later run analyses their ends."""
    num_left: int = 0
    """Files of cameras that other runs are indexing."""
    others: tuple[Run, ...] = ()
    """Those other runs."""
    yielded_ns: int = 0
    """Footage of videos that this run finished, but which other files of their camera own."""
    erased_ns: int = 0
    """Footage of those videos that was left out: erased, or older than it may be kept."""
    failures: list[FailedFile] = field(default_factory=list)
    outstanding: list[OutstandingFile] = field(default_factory=list)
    planned_ns: int = 0
    """Footage of probed videos that this run has to answer."""
    analysed_ns: int = 0
    video_ns: int = 0
    """Footage that the videos own which this run finished."""
    windows: dict[WindowStatus, int] = field(
        default_factory=lambda: {"analysed": 0, "quiet": 0, "failed": 0}
    )
    num_events: int = 0
    num_segments: int = 0
    num_utterances: int = 0
    hears: bool = False
    """Whether the run listened, and did not look."""
    spent: Spent = field(default_factory=Spent)
    """Tokens and GPU time, for windows and for the summaries at the end."""
    decode_cpu_s: float = 0.0
    summaries: dict[str, Any] | None = None
    """Counts of the summaries that were written at the end, if the run had to write any."""
    engine_s: float = 0.0
    """Seconds in which replicas of the engine had work, summed over replicas."""
    stopped: str = ""
    """Why the run ended before everything was done; "" if it did not."""

    @property
    def wall_s(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started_s

    @property
    def num_finished(self) -> int:
        """Files that this run has nothing more to do with."""
        num = self.videos_done + self.videos_skipped + self.videos_superseded
        return num + len(self.failures) + len(self.outstanding) + len(self.waiting)

    @property
    def real_time_factor(self) -> float:
        """Seconds of footage analysed per second of the run."""
        return self.analysed_ns / NS_PER_S / max(self.wall_s, 1e-9)

    @property
    def eta_s(self) -> float | None:
        """Seconds until the planned footage is analysed; None before the first result."""
        remaining_ns = self.planned_ns - self.analysed_ns
        return remaining_ns / NS_PER_S / self.real_time_factor if self.analysed_ns else None

    def book(self, result: WindowResult) -> None:
        """Count the result of one window."""
        self.windows[result.status] += 1
        self.analysed_ns += result.span.duration_ns
        self.spent.book(result)
        self.decode_cpu_s += result.decode_cpu_s
        self.engine_s += result.engine_s

    def drop(self, results: Iterable[WindowResult]) -> None:
        """Uncount results that will be made again; their tokens and seconds stay counted."""
        for result in results:
            self.windows[result.status] -= 1
            self.analysed_ns -= result.span.duration_ns

    def leave_pending(self, pending: PendingVideo) -> None:
        """Count one video that waits for a later run."""
        self.drop(pending.dropped)
        self.outstanding.append(OutstandingFile(pending.video.uri, pending.error))

    def finish(self, whole: WholeVideo) -> None:
        """Count one video whose rows are committed and which did not fail."""
        self.yielded_ns += sum(part.span.duration_ns for part in whole.video.yielded)
        if not whole.video.owned:
            self.videos_superseded += 1
            return
        erased = [result for result in whole.results if result.status == "erased"]
        self.erased_ns += sum(result.span.duration_ns for result in erased)
        if whole.is_growing:  # counted among those that wait
            return
        self.videos_done += 1
        self.video_ns += sum(owned.duration_ns for owned in whole.video.owned)

    def uncount(self, file: IndexedFile, *, was_due: bool) -> None:
        """Undo how a file was counted that is indexed again after all."""
        if not was_due:
            self.videos_skipped -= 1
        elif file.status == "superseded":
            self.videos_superseded -= 1
        elif file.status in ("done", "partial"):
            self.videos_done -= 1

    def has_failed(self, fail_on: FailOn) -> bool:
        """Whether the run counts as failed under the rule ``fail_on``."""
        match fail_on:
            case "never":
                return False
            case "new":
                return any(not failed.known for failed in self.failures)
            case "any":
                return bool(self.failures)

    @property
    def state(self) -> EndState:
        """The state of the run if it ends now without an exception."""
        if self.stopped:
            return "budget"
        return "incomplete" if self.outstanding else "done"

    def exit_code(self, fail_on: FailOn) -> int:
        """The exit code of the process if the run ends now without an exception."""
        if self.stopped:
            return EXIT_BUDGET
        # Also if files have failed: the next run can still report those.
        if self.outstanding:
            return EXIT_INCOMPLETE
        return EXIT_SOME_FAILED if self.has_failed(fail_on) else EXIT_OK

    @property
    def last_error(self) -> str:
        """Why the run stopped; else the last error of an outstanding file, else of a failed one."""
        errors = [file.error for file in self.failures[-1:]]
        errors += [file.error for file in self.outstanding[-1:]]
        return self.stopped or "".join(errors[-1:])

    def figures(self) -> RunFigures:
        """The counts for the row of this run in the table ``runs``."""
        return RunFigures(
            num_videos_done=self.videos_done,
            num_videos_failed=len(self.failures),
            num_videos_superseded=self.videos_superseded,
            num_videos_outstanding=len(self.outstanding),
            num_windows=sum(self.windows.values()),
            num_events=self.num_events,
            num_prompt_tokens=self.spent.num_prompt_tokens,
            num_output_tokens=self.spent.num_output_tokens,
            decode_cpu_s=self.decode_cpu_s,
            gpu_s=self.spent.gpu_hours * SECONDS_PER_HOUR,
        )

    def to_json(self) -> dict[str, object]:
        """The object that ``timereel index --json`` prints last."""
        return {
            "videos": {
                "done": self.videos_done,
                "skipped": self.videos_skipped,
                "superseded": self.videos_superseded,
                "waiting": len(self.waiting),
                "failed": len(self.failures),
            },
            "video_hours": round(self.video_ns / NS_PER_S / SECONDS_PER_HOUR, 6),
            "erased_hours": round(self.erased_ns / NS_PER_S / SECONDS_PER_HOUR, 6),
            "windows": dict(self.windows),
            "events": self.num_events,
            "segments": self.num_segments,
            "utterances": self.num_utterances,
            **({"summaries": self.summaries} if self.summaries else {}),
            "tokens": {
                "prompt": self.spent.num_prompt_tokens,
                "output": self.spent.num_output_tokens,
            },
            "wall_s": round(self.wall_s, 3),
            "decode_cpu_s": round(self.decode_cpu_s, 3),
            "engine_s": round(self.engine_s, 3),
            "gpu_hours": round(self.spent.gpu_hours, 4),
            "real_time_factor": round(self.real_time_factor, 2),
            "failures": [asdict(failed) for failed in self.failures],
            "outstanding": [asdict(file) for file in self.outstanding],
            "waiting": self.waiting,
            "left": {"videos": self.num_left, "to": [run.run_id for run in self.others]},
            "stopped": self.stopped,
            "index": self.index,
        }


OnProgress = Callable[[Report], None]
