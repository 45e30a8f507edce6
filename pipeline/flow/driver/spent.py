"""What a run has spent of its budget, for windows and for summaries. No Ray here."""

import time
from dataclasses import dataclass

from pipeline.config import BudgetConfig
from pipeline.records import Summary, WindowResult

SECONDS_PER_HOUR = 3600


@dataclass(slots=True)
class Spent:
    """Tokens, and the time for which GPUs were reserved."""

    num_prompt_tokens: int = 0
    num_output_tokens: int = 0
    num_gpus: float = 0.0
    """GPUs that are reserved now."""
    reserved_since_s: float = 0.0
    """On the monotonic clock, when ``num_gpus`` changed last."""
    gpu_s_before: float = 0.0
    """GPU-seconds up to ``reserved_since_s``."""

    def book(self, answer: WindowResult | Summary) -> None:
        """Count the tokens of one answer."""
        self.num_prompt_tokens += answer.num_prompt_tokens
        self.num_output_tokens += answer.num_output_tokens

    def reserve_gpus(self, num_gpus: float) -> None:
        """Count this many GPUs as reserved from now on, whether they have work or not."""
        now_s = time.monotonic()
        self.gpu_s_before += self.num_gpus * (now_s - self.reserved_since_s)
        self.num_gpus, self.reserved_since_s = num_gpus, now_s

    @property
    def gpu_hours(self) -> float:
        """GPU-hours that were reserved until now."""
        elapsed_s = time.monotonic() - self.reserved_since_s
        return (self.gpu_s_before + self.num_gpus * elapsed_s) / SECONDS_PER_HOUR

    def exceeded(self, budget: BudgetConfig) -> str:
        """A sentence that names the limit which the run has reached; "" if none."""
        tokens = self.num_prompt_tokens + self.num_output_tokens
        if budget.max_tokens is not None and tokens >= budget.max_tokens:
            return f"budget.max_tokens={budget.max_tokens} is spent ({tokens} tokens)"
        if budget.max_gpu_hours is not None and self.gpu_hours >= budget.max_gpu_hours:
            return (
                f"budget.max_gpu_hours={budget.max_gpu_hours} is spent ({self.gpu_hours:.3f} hours)"
            )
        return ""
