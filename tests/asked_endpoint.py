"""One window asked of a scripted endpoint, and the row that it becomes."""

import asyncio
import json
from dataclasses import replace

import numpy as np

from pipeline.config import Config
from pipeline.engine import open_model
from pipeline.engine.openai import OpenAIEngineConfig
from pipeline.flow.task.answer import answer_window
from pipeline.tables.shared import Provenance
from pipeline.tables.windows import window_results, windows_table
from tests.endpoint import completion
from tests.made import a_video
from tests.unit.test_engine_ask import TASK, a_window

KEY = "sk-Secret-0123456789"
GOOD = '{"events": [{"label": "enter", "start": 0, "end": 1}], "summary": "one"}'
PROVENANCE = Provenance(task="gate", model="m", prompt_id="p", fingerprint="f", config="")


def config_of(endpoint, **changes) -> Config:
    settings = {
        "kind": "openai",
        "model": "m",
        "base_url": endpoint.url,
        "api_key_env": "THE_KEY",
        "max_retries": 0,
        "timeout_s": 20,
    }
    return Config(task=TASK, engine=OpenAIEngineConfig.model_validate(settings | changes))


def results_of(endpoint, *, num_frames=4, **changes):
    """Of one window, or of its halves; written as rows and read back, and without the key."""
    config = config_of(endpoint, **changes)

    async def run():
        return await answer_window(a_window(num_frames), open_model(config), config)

    results = asyncio.run(run())
    table = windows_table([(a_video(), one) for one in results], PROVENANCE)
    assert window_results(table) == [
        replace(
            one,
            confidences=tuple(map(float, np.float32(one.confidences))),
            pictures=(),  # the table evidence has them
        )
        for one in results
    ]
    assert KEY not in json.dumps(table.to_pylist(), default=str)
    return results


def changed(*path, to):
    """A good answer with one value of it changed."""
    body = completion(GOOD)
    body["choices"][0]["logprobs"] = {"content": [{"token": GOOD, "logprob": -0.1, "bytes": None}]}
    node = body
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = to
    return body


CHOICE = ("choices", 0)
CONTENT = (*CHOICE, "message", "content")
LOGPROB = (*CHOICE, "logprobs", "content", 0)
