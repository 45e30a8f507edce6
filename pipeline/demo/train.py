"""The training loop: first see, then read, then both together; seeded, timed and resumable."""

import json
import logging
import math
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch

from pipeline.demo.batches import Batch, Writer, draw_plan, make_batch, retimed
from pipeline.demo.clip import ClipMix
from pipeline.demo.language import PROMPT
from pipeline.demo.losses import Losses, Seen, Teacher
from pipeline.demo.model import DemoModel, build, time_token_ids

log = logging.getLogger(__name__)

Stage = Literal["see", "read", "joint"]
# Parts of the training time.
_SEE_PART: Final = 0.06
_READ_PART: Final = 0.16
_WARM_STEPS: Final = {"see": 60, "read": 150, "joint": 150}
# In "read", vision stands still, so its output is kept and read again with other times.
_KEPT_BATCHES: Final = 150
_FEWEST_KEPT: Final = 20
_FRESH_CHANCE: Final = 0.4
_SEE_MIX: Final = ClipMix(
    num_moving_weights=(0.0, 0.1, 0.5, 0.4), dark_chance=0.22, door_chance=0.5
)
_EASY_MIX: Final = ClipMix(num_moving_weights=(0.25, 0.75), dark_chance=0.12, door_chance=0.14)
_EASY_UNTIL: Final = 0.3
_DEFAULT_PROMPT_UNTIL: Final = 0.5
_SEE_BATCH_SIZE: Final = 4
_SEE_MAX_PATCHES: Final = 5
# As `progress` of a plan: the smallest frames only, and all of them.
_SMALL_FRAMES: Final = 0.05
_ALL_FRAMES: Final = 0.35
_VALIDATION_SEED: Final = 990_000
_STATE_NAME: Final = "state.pt"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How long and how fast to train."""

    minutes: float
    seed: int = 0
    num_threads: int = 1
    batch_size: int = 8
    text_rate: float = 1.2e-3
    vision_rate: float = 1.5e-3
    # Of `vision_rate`, once the language model pulls at vision too.
    joint_vision_part: float = 0.5
    weight_decay: float = 0.02
    save_every_s: float = 180.0
    log_every_s: float = 20.0
    validate_every_s: float = 300.0
    num_validation_batches: int = 12


@dataclass(slots=True, kw_only=True)
class Progress:
    """Where the training stands; saved with the weights."""

    trained_s: float = 0.0
    num_steps: int = 0
    num_clips: int = 0
    stage: Stage = "see"
    stage_steps: int = 0


@dataclass(slots=True, kw_only=True)
class _Sums:
    """Losses since the last line of the log."""

    losses: dict[str, list[float]] = field(default_factory=dict)
    num_clips: int = 0
    since_s: float = 0.0


class Trainer:
    """Holds the model, its read-outs and the optimiser of one training run."""

    def __init__(self, out: Path, settings: TrainSettings) -> None:
        """Build from the seed, then take up the run in `out` if there is one."""
        torch.set_num_threads(settings.num_threads)
        torch.manual_seed(settings.seed)
        self._out = out
        self._settings = settings
        self.demo: DemoModel = build(seed=settings.seed)
        self._teacher = Teacher(self.demo)
        self._writer = Writer(self.demo.tokenizer)
        self._progress = Progress()
        embedding = self.demo.model.model.language_model.embed_tokens.weight
        # Times keep their random codes, so that no time is better learnt than another.
        learnable = torch.ones(embedding.shape[0], 1)
        learnable[time_token_ids(self.demo.tokenizer)] = 0
        embedding.register_hook(lambda gradient: gradient * learnable)
        heads = self._teacher.heads
        vision = [*self.demo.model.model.visual.parameters(), *heads["cells"].parameters()]
        vision_ids = {id(weight) for weight in vision}
        everything = [*self.demo.model.parameters(), *heads.parameters()]
        text = [weight for weight in everything if id(weight) not in vision_ids]
        self._weights: dict[Stage, list[torch.nn.Parameter]] = {
            "see": vision,
            "read": text,
            "joint": [*vision, *text],
        }
        self._optimizer = torch.optim.AdamW(
            [
                *self._groups(text, settings.text_rate, "text", embedding),
                *self._groups(vision, settings.vision_rate, "vision", embedding),
            ],
            betas=(0.9, 0.98),
            foreach=True,
        )
        self._kept: deque[tuple[Batch, Seen]] = deque(maxlen=_KEPT_BATCHES)
        self._validation: list[Batch] = []
        out.mkdir(parents=True, exist_ok=True)
        if (out / _STATE_NAME).exists():
            self._resume()

    def _groups(
        self, weights: Iterable[torch.nn.Parameter], rate: float, name: str, embedding: torch.Tensor
    ) -> list[dict[str, Any]]:
        matrices: list[torch.nn.Parameter] = []
        others: list[torch.nn.Parameter] = []
        for weight in weights:
            decays = weight.ndim > 1 and weight is not embedding
            (matrices if decays else others).append(weight)
        decay = self._settings.weight_decay
        return [
            {"params": matrices, "weight_decay": decay, "base": rate, "name": name, "lr": 0.0},
            {"params": others, "weight_decay": 0.0, "base": rate, "name": name, "lr": 0.0},
        ]

    def run(self) -> None:
        """Train until the time is up; saves on the way and at the end."""
        settings, progress = self._settings, self._progress
        total_s = settings.minutes * 60
        sums = _Sums()
        started_s = time.monotonic() - progress.trained_s
        saved_s = validated_s = sums.since_s = progress.trained_s
        while progress.trained_s < total_s:
            part = progress.trained_s / total_s
            stage: Stage = (
                "see" if part < _SEE_PART else "read" if part < _SEE_PART + _READ_PART else "joint"
            )
            if stage != progress.stage:
                progress.stage, progress.stage_steps = stage, 0
                self._kept.clear()
                self._note(self.validate())
            rng = np.random.default_rng((settings.seed, 1, progress.num_steps))
            losses, num_clips = self._step(stage, part, rng)
            progress.num_steps += 1
            progress.stage_steps += 1
            progress.num_clips += num_clips
            progress.trained_s = time.monotonic() - started_s
            sums.num_clips += num_clips
            for name, loss in losses.items():
                sums.losses.setdefault(name, []).append(loss)
            now_s = progress.trained_s
            if now_s - sums.since_s > settings.log_every_s:
                self._log(sums)
                sums = _Sums(since_s=now_s)
            if now_s - validated_s > settings.validate_every_s and stage != "see":
                self._note(self.validate())
                validated_s = now_s
            if now_s - saved_s > settings.save_every_s:
                self.save()
                saved_s = now_s
        self._note(self.validate())
        self.save()

    def _set_rates(self, stage: Stage, part: float) -> None:
        settings = self._settings
        warm = min(1.0, (self._progress.stage_steps + 1) / _WARM_STEPS[stage])
        if stage == "see":
            scale = {"vision": warm * _cosine(part / _SEE_PART, floor=0.08), "text": 0.0}
        else:
            text = _cosine((part - _SEE_PART) / (1 - _SEE_PART), floor=0.02)
            if stage == "read":
                text *= warm
            scale = {
                "text": text,
                "vision": text * warm * settings.joint_vision_part if stage == "joint" else 0.0,
            }
        for group in self._optimizer.param_groups:
            group["lr"] = group["base"] * scale[group["name"]]

    def _step(
        self, stage: Stage, part: float, rng: np.random.Generator
    ) -> tuple[dict[str, float], int]:
        self._set_rates(stage, part)
        match stage:
            case "see":
                batch, losses, loss = self._lesson_in_seeing(rng, part / _SEE_PART)
            case "read":
                batch, losses, loss = self._lesson_in_reading(rng, part)
            case "joint":
                batch, losses, loss = self._whole_lesson(rng, part)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._weights[stage], 1.0)
        self._optimizer.step()
        return {name: value.item() for name, value in losses.items()}, len(batch.events)

    def _lesson_in_seeing(
        self, rng: np.random.Generator, inner: float
    ) -> tuple[Batch, Losses, torch.Tensor]:
        progress = _SMALL_FRAMES if inner < 1 / 3 else _ALL_FRAMES
        plan = draw_plan(rng, batch_size=_SEE_BATCH_SIZE, progress=progress)
        plan = replace(plan, mix=_SEE_MIX, num_patches=min(plan.num_patches, _SEE_MAX_PATCHES))
        batch = make_batch(rng, self._writer, plan)
        loss = self._teacher.cell_loss(batch, self._teacher.see(batch))
        return batch, {"cells": loss}, loss

    def _lesson_in_reading(
        self, rng: np.random.Generator, part: float
    ) -> tuple[Batch, Losses, torch.Tensor]:
        batch, seen = self._kept_batch(rng, (part - _SEE_PART) / _READ_PART)
        losses = self._teacher.text_losses(batch, seen)
        # The lessons lead at first and only accompany later.
        fading = max(0.2, 1 - 2 * part)
        loss = losses["answer"] + 0.2 * losses["pointing"]
        loss = loss + fading * (
            0.3 * losses["patches"] + 0.1 * (losses["times"] + losses["previous_times"])
        )
        return batch, losses, loss

    def _whole_lesson(
        self, rng: np.random.Generator, part: float
    ) -> tuple[Batch, Losses, torch.Tensor]:
        inner = (part - _SEE_PART - _READ_PART) / (1 - _SEE_PART - _READ_PART)
        plan = draw_plan(rng, batch_size=self._settings.batch_size, progress=0.2 + 0.8 * inner)
        batch = make_batch(rng, self._writer, plan)
        seen = self._teacher.see(batch)
        losses = self._teacher.text_losses(batch, seen)
        losses["cells"] = self._teacher.cell_loss(batch, seen)
        loss = losses["answer"] + 0.5 * losses["cells"] + 0.2 * losses["patches"]
        times = losses["times"] + losses["previous_times"]
        return batch, losses, loss + 0.15 * times + 0.15 * losses["pointing"]

    def _kept_batch(self, rng: np.random.Generator, inner: float) -> tuple[Batch, Seen]:
        if len(self._kept) >= _FEWEST_KEPT and rng.random() >= _FRESH_CHANCE:
            batch, seen = self._kept[int(rng.integers(len(self._kept)))]
            prompt = PROMPT if inner <= _DEFAULT_PROMPT_UNTIL else ""
            return retimed(rng, self._writer, batch, prompt), seen
        plan = draw_plan(rng, batch_size=self._settings.batch_size, progress=0.25 * inner)
        if inner < _EASY_UNTIL:
            plan = replace(plan, mix=_EASY_MIX)
        batch = make_batch(rng, self._writer, plan)
        with torch.no_grad():
            seen = self._teacher.see(batch)
        self._kept.append((replace(batch, pixels=torch.empty(0)), seen))
        return batch, seen

    def validate(self) -> dict[str, float]:
        """Losses and the share of clips told without a wrong token, on clips never trained on."""
        if not self._validation:
            for index in range(self._settings.num_validation_batches):
                rng = np.random.default_rng((_VALIDATION_SEED, index))
                plan = draw_plan(rng, batch_size=12, progress=1.0)
                self._validation.append(make_batch(rng, self._writer, plan))
        sums: dict[str, float] = {}
        num_clips = num_right = num_times = num_right_times = 0
        for batch in self._validation:
            with torch.no_grad():
                seen = self._teacher.see(batch)
                losses = self._teacher.text_losses(batch, seen)
                losses["cells"] = self._teacher.cell_loss(batch, seen)
                mistakes = self._teacher.mistakes(batch, seen)
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0.0) + loss.item() / len(self._validation)
            num_clips += mistakes.num_clips
            num_right += mistakes.num_right_clips
            num_times += mistakes.num_times
            num_right_times += mistakes.num_right_times
        rounded = {name: round(value, 4) for name, value in sums.items()}
        return {
            **rounded,
            "clips_exact": round(num_right / num_clips, 4),
            "times_exact": round(num_right_times / num_times, 4),
        }

    def _log(self, sums: _Sums) -> None:
        spent_s = self._progress.trained_s - sums.since_s
        means = {name: round(float(np.mean(values)), 4) for name, values in sums.losses.items()}
        self._note({"clips_per_s": round(sums.num_clips / spent_s, 1), **means}, kind="train")

    def _note(self, values: dict[str, float], kind: str = "validation") -> None:
        progress = self._progress
        line = {
            "kind": kind,
            "stage": progress.stage,
            "trained_s": round(progress.trained_s),
            "steps": progress.num_steps,
            "clips": progress.num_clips,
            **values,
        }
        log.info("%s", json.dumps(line))
        with (self._out / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def save(self) -> None:
        """Write the whole run whole-or-absent: a stop at any moment leaves the last state."""
        progress = self._progress
        state = {
            "model": self.demo.model.state_dict(),
            "heads": self._teacher.heads.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "progress": {
                "trained_s": progress.trained_s,
                "num_steps": progress.num_steps,
                "num_clips": progress.num_clips,
                "stage": progress.stage,
                "stage_steps": progress.stage_steps,
            },
            "seed": self._settings.seed,
        }
        partial = self._out / f"{_STATE_NAME}.partial"
        torch.save(state, partial)
        partial.replace(self._out / _STATE_NAME)

    def _resume(self) -> None:
        state = torch.load(self._out / _STATE_NAME, weights_only=True)
        if state["seed"] != self._settings.seed:
            raise ValueError(
                f"{self._out} holds a run with seed {state['seed']}, not {self._settings.seed}: "
                "take another directory or that seed"
            )
        self.demo.model.load_state_dict(state["model"])
        self._teacher.heads.load_state_dict(state["heads"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._progress = Progress(**state["progress"])
        log.info("resumed at step %d", self._progress.num_steps)


def _cosine(part: float, *, floor: float) -> float:
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, part))))
