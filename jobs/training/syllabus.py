"""The stages of training, and the batches of each stage, which are rendered in advance.

Rendering takes a quarter of a step, so a second process does it on a second core.
"""

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from threading import Thread
from typing import Final, Literal

import numpy as np
import torch
from torch import multiprocessing

from jobs.training.batches import Batch, Writer, draw_plan, make_batch
from jobs.training.clip import ClipMix
from jobs.training.tokens import make_tokenizer

Stage = Literal["see", "read", "joint"]
# Parts of the training time.
SEE_PART: Final = 0.04
READ_PART: Final = 0.10

_SEE_MIX: Final = ClipMix(
    num_moving_weights=(0.0, 0.1, 0.5, 0.4), dark_chance=0.22, door_chance=0.5
)
_EASY_MIX: Final = ClipMix(num_moving_weights=(0.25, 0.75), dark_chance=0.12, door_chance=0.14)
_EASY_UNTIL: Final = 0.3
_SEE_BATCH_SIZE: Final = 4
_SEE_MAX_PATCHES: Final = 5
# As `progress` of a plan: the smallest frames only, and all of them.
_SMALL_FRAMES: Final = 0.05
_ALL_FRAMES: Final = 0.35
_NUM_AHEAD: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Which batch to draw; the same request draws the same clips."""

    seed: int
    number: int
    batch_size: int
    stage: Stage
    # The part of the training time that has passed.
    part: float


def stage_at(part: float) -> Stage:
    """First see, then read, then both."""
    return "see" if part < SEE_PART else "read" if part < SEE_PART + READ_PART else "joint"


def inner_part(stage: Stage, part: float) -> float:
    """How much of its stage has passed, from 0 to 1."""
    starts = {"see": 0.0, "read": SEE_PART, "joint": SEE_PART + READ_PART}
    lengths = {"see": SEE_PART, "read": READ_PART, "joint": 1 - SEE_PART - READ_PART}
    return min(1.0, max(0.0, (part - starts[stage]) / lengths[stage]))


def draw_batch(request: Request, writer: Writer) -> Batch:
    """Render the batch of a request."""
    rng = np.random.default_rng((request.seed, 1, request.number))
    inner = inner_part(request.stage, request.part)
    match request.stage:
        case "see":
            progress = _SMALL_FRAMES if inner < 1 / 3 else _ALL_FRAMES
            plan = draw_plan(rng, batch_size=_SEE_BATCH_SIZE, progress=progress)
            num_patches = min(plan.num_patches, _SEE_MAX_PATCHES)
            plan = replace(plan, mix=_SEE_MIX, num_patches=num_patches)
        case "read":
            plan = draw_plan(rng, batch_size=request.batch_size, progress=0.25 * inner)
            if inner < _EASY_UNTIL:
                plan = replace(plan, mix=_EASY_MIX)
        case "joint":
            plan = draw_plan(rng, batch_size=request.batch_size, progress=0.2 + 0.8 * inner)
    return make_batch(rng, writer, plan)


class Drawer:
    """Draws the next batches in another process while the model learns from the last one."""

    def __init__(self, *, seed: int, batch_size: int, first_number: int) -> None:
        """Start the process; `first_number` is how many batches earlier runs have drawn."""
        self._pool = ProcessPoolExecutor(
            1, mp_context=multiprocessing.get_context("spawn"), initializer=_start_drawing
        )
        # Wait for its imports, which take seconds and must not count as training time.
        self._pool.submit(int).result()
        self._request: Callable[[int, Stage, float], Request] = lambda number, stage, part: Request(
            seed=seed, number=number, batch_size=batch_size, stage=stage, part=part
        )
        self._ahead: deque[tuple[Stage, Future[Batch]]] = deque()
        self._asked = first_number

    def next(self, part: float) -> Batch:
        """A batch never seen before, of the stage that `part` of the training time is in."""
        stage = stage_at(part)
        while len(self._ahead) < _NUM_AHEAD:
            request = self._request(self._asked, stage, part)
            self._ahead.append((stage, self._pool.submit(_draw_in_process, request)))
            self._asked += 1
        drawn_for, batch = self._ahead.popleft()
        # A batch that was drawn for the stage before is dropped.
        return batch.result() if drawn_for == stage else self.next(part)

    def close(self) -> None:
        """End the process."""
        self._pool.shutdown(cancel_futures=True)


_writer: Writer | None = None


def _start_drawing() -> None:
    global _writer  # noqa: PLW0603 - a pool's initializer has no other way to hand on
    Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    _writer = Writer(make_tokenizer())


def _end_with_parent() -> None:
    # A trainer that was killed cannot end its pool, so the pool watches its parent.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _draw_in_process(request: Request) -> Batch:
    if _writer is None:
        raise AssertionError("the pool starts with _start_drawing")
    return draw_batch(request, _writer)
