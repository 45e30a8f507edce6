"""The losses: the tokens of the answer, and the auxiliary targets for seeing and pointing."""

from dataclasses import dataclass
from typing import Final

import torch
from torch.nn import functional

from jobs.training.batches import IGNORED, Batch
from jobs.training.forward import FastForward, Hidden
from jobs.training.lessons import NUM_CELL_TARGETS, NUM_PATCH_TARGETS, make_heads
from jobs.training.model import DemoModel

Losses = dict[str, torch.Tensor]

# Weight of a time, relative to other tokens of the answer.
_TIME_WEIGHT: Final = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The vision output for a batch: cells [clip*patch, cell, hidden], and from earlier layers."""

    cells: torch.Tensor
    deep: list[torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistakes:
    """Counts of correct tokens, each predicted from the correct tokens before it."""

    num_clips: int
    num_right_clips: int
    num_times: int
    num_right_times: int


class Teacher:
    """Runs the model on batches and computes the losses."""

    def __init__(self, demo: DemoModel) -> None:
        """Add the read-outs that only training needs."""
        self.heads = make_heads(demo.model.config.text_config.hidden_size)
        self._forward = FastForward(demo.model)

    def see(self, batch: Batch) -> Seen:
        """Run vision alone."""
        cells, deep = self._forward.see(batch.pixels, batch.shape.rows, batch.shape.columns)
        return Seen(cells=cells, deep=deep)

    def cell_loss(self, batch: Batch, seen: Seen) -> torch.Tensor:
        """The loss of what the cells show, summed over the targets of a cell."""
        scores = self.heads["cells"](seen.cells)
        return functional.binary_cross_entropy_with_logits(scores, batch.cells) * NUM_CELL_TARGETS

    def _read(self, batch: Batch, seen: Seen) -> Hidden:
        number = batch.text.ids.shape[0]
        num_cells = batch.shape.num_patches * batch.shape.num_cells
        return self._forward.read(
            batch.text.ids,
            seen.cells.reshape(number, num_cells, -1),
            [cells.reshape(number, num_cells, -1) for cells in seen.deep],
            batch.shape,
            batch.text.answer_start,
        )

    def text_losses(self, batch: Batch, seen: Seen) -> Losses:
        """The losses of the answers, of the patches and their times, and of pointing."""
        text = batch.text
        hidden = self._read(batch, seen)
        at_ends = hidden.before_last[:, batch.shape.patch_ends_and_video_end()]
        answer = hidden.final[:, text.answer_start - 1 : -1]
        is_answer = text.labels != IGNORED
        points = text.pointed != IGNORED
        times = self._forward.logits(self.heads["times"](at_ends[:, :-1])).flatten(0, 1)
        previous = self._forward.logits(self.heads["previous_times"](at_ends[:, 1:])).flatten(0, 1)
        patches = functional.binary_cross_entropy_with_logits(
            self.heads["patches"](at_ends), batch.patches
        )
        # Colours and shapes are learnt soon; choosing the right time stays difficult.
        weights = 1 + (_TIME_WEIGHT - 1) * points.any(1)[is_answer].float()
        tokens = functional.cross_entropy(
            self._forward.logits(answer[is_answer]), text.labels[is_answer], reduction="none"
        )
        pointing = answer.sum() * 0
        if points.any():
            pointing = -hidden.pointing[points].gather(1, text.pointed[points][:, None]).mean()
        return {
            "answer": (tokens * weights).sum() / weights.sum(),
            "patches": patches * NUM_PATCH_TARGETS,
            "times": functional.cross_entropy(times, text.times.flatten()),
            "previous_times": functional.cross_entropy(previous, text.times.flatten()),
            "pointing": pointing,
        }

    def mistakes(self, batch: Batch, seen: Seen) -> Mistakes:
        """Count the clips and the times that the model predicts correctly, token by token."""
        text = batch.text
        hidden = self._read(batch, seen)
        best = self._forward.logits(hidden.final[:, text.answer_start - 1 : -1]).argmax(-1)
        wrong = (best != text.labels) & (text.labels != IGNORED)
        is_time = (text.pointed != IGNORED).any(1)
        num_times = int(is_time.sum())
        return Mistakes(
            num_clips=len(wrong),
            num_right_clips=int((~wrong.any(1)).sum()),
            num_times=num_times,
            num_right_times=num_times - int((wrong & is_time).sum()),
        )
