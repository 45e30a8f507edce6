"""What every step of one index run works with."""

from dataclasses import dataclass
from datetime import datetime

from pipeline.config import Config
from pipeline.flow.driver.indexed_files import IndexContents
from pipeline.flow.driver.report import OnProgress, Report
from pipeline.index import Writer
from pipeline.index.lease import Lease
from pipeline.tables.shared import Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """The index, the settings and the report of one run. For the options see ``index_archive``."""

    writer: Writer
    lease: Lease
    config: Config
    """With the settings of every camera that the run or the index knows."""
    provenance: Provenance
    indexed: IndexContents
    """What the index held when the run began."""
    report: Report
    on_progress: OnProgress
    include_erased: bool
    keep: bool
    started_at: datetime

    def is_budget_spent(self) -> bool:
        """Whether the run must stop; the report then says why."""
        self.report.stopped = self.report.spent.exceeded(self.config.budget)
        return bool(self.report.stopped)
