"""An OpenAI-compatible endpoint asked in words alone: summaries of what was logged."""

import json
import re
from typing import Any

from pipeline.config import SummariesConfig
from pipeline.config.task import Task
from pipeline.engine.openai import OpenAIEngineConfig
from pipeline.engine.openai.windows import OpenAIEngine, completion, response_format
from pipeline.errors import SummaryError, WindowError
from pipeline.records import Completion

_PIECE = re.compile(r"[A-Za-z]+|\s+|.", re.DOTALL)
_LETTERS_PER_TOKEN = 3
# Of windows nothing is asked here: the task only shapes requests about those.
_NO_WINDOWS = Task(name="summaries", labels={"none": "nothing is looked for"})
_BYTES_PER_TOKEN = 2


class OpenAITextEngine(OpenAIEngine):
    """One client of one endpoint; ``ask`` may be called many times at once.

    Raises:
        EngineStartError: the endpoint cannot be reached, refuses the key or has no such model.
    """

    def __init__(self, config: OpenAIEngineConfig, summaries: SummariesConfig) -> None:
        super().__init__(config, task=_NO_WINDOWS)
        self._max_output_tokens = summaries.max_output_tokens
        self.context = summaries.max_prompt_tokens + summaries.max_output_tokens
        """Endpoints do not say theirs: what the configuration asks for is taken to fit."""

    def num_tokens(self, text: str) -> int:
        """An estimate from above, since endpoints do not count: see ``estimated_tokens``."""
        return estimated_tokens(text)

    async def ask(self, messages: list[dict[str, Any]], schema: str) -> Completion:
        """Answer in JSON of ``schema`` (text).

        Raises:
            EngineStartError: the endpoint is gone, or refuses every request.
            SummaryError: the endpoint failed this request for good, or gave no answer.
        """
        fields: dict[str, Any] = {
            "temperature": 0,
            "seed": 0,
            "max_completion_tokens": self._max_output_tokens,
            "response_format": response_format(json.loads(schema), self._config, all_required=True),
        }
        wanted = {name: v for name, v in (fields | self._config.args).items() if v is not None}
        try:
            async with self._slots:
                answer = await self._create(messages, wanted)
        except WindowError as exc:
            raise SummaryError(str(exc)) from exc
        return completion(answer)


def estimated_tokens(text: str) -> int:
    """More tokens than today's byte-pair vocabularies need: digits and signs count one each.

    Letters count one per three, other scripts one per two bytes, a run of spaces one. Too low an
    estimate is refused by the endpoint, and the summary counted and quoted.
    """
    total = 0
    for piece in _PIECE.findall(text):
        if piece.isascii():
            total += -(-len(piece) // _LETTERS_PER_TOKEN) if piece.isalpha() else 1
        else:
            total += -(-len(piece.encode("utf-8", "replace")) // _BYTES_PER_TOKEN)
    return total
