"""What a run has taken of its budget, for windows and for summaries alike."""

import time
from dataclasses import dataclass

from pipeline.config import BudgetConfig
from pipeline.records import Summary, WindowResult

SECONDS_PER_HOUR = 3600


@dataclass(slots=True)
class Spent:
    """Tokens, and the time for which GPUs were held."""

    num_prompt_tokens: int = 0
    num_output_tokens: int = 0
    num_gpus: float = 0.0
    """That are held now."""
    held_since_s: float = 0.0
    gpu_s_before: float = 0.0
    """Up to ``held_since_s``."""

    def book(self, answer: WindowResult | Summary) -> None:
        """Count the tokens of one answer."""
        self.num_prompt_tokens += answer.num_prompt_tokens
        self.num_output_tokens += answer.num_output_tokens

    def hold_gpus(self, num_gpus: float) -> None:
        """So many are held from now on, whether they have work or not."""
        now_s = time.monotonic()
        self.gpu_s_before += self.num_gpus * (now_s - self.held_since_s)
        self.num_gpus, self.held_since_s = num_gpus, now_s

    @property
    def gpu_hours(self) -> float:
        """Hours for which GPUs have been held."""
        held_s = time.monotonic() - self.held_since_s
        return (self.gpu_s_before + self.num_gpus * held_s) / SECONDS_PER_HOUR

    def exceeded(self, budget: BudgetConfig) -> str:
        """Which limit the run has reached, as a sentence; "" while none."""
        tokens = self.num_prompt_tokens + self.num_output_tokens
        if budget.max_tokens is not None and tokens >= budget.max_tokens:
            return f"budget.max_tokens={budget.max_tokens} is spent ({tokens} tokens)"
        if budget.max_gpu_hours is not None and self.gpu_hours >= budget.max_gpu_hours:
            return (
                f"budget.max_gpu_hours={budget.max_gpu_hours} is spent ({self.gpu_hours:.3f} hours)"
            )
        return ""
