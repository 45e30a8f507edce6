"""The training loop: first vision, then text, then both; seeded, timed and resumable."""

import json
import logging
import math
import time
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from jobs.training.batches import Batch, Writer, draw_plan, make_batch, retimed
from jobs.training.losses import Losses, Seen, Teacher
from jobs.training.model import DemoModel, build, time_token_ids
from jobs.training.syllabus import SEE_PART, Drawer, Stage, inner_part, stage_at
from pipeline.demo.language import PROMPT

log = logging.getLogger(__name__)

_WARM_STEPS: Final = {"see": 60, "read": 150, "joint": 150}
# In "read" vision does not change, so its output is kept and used again with other times.
_KEPT_BATCHES: Final = 150
_FEWEST_KEPT: Final = 20
_FRESH_CHANCE: Final = 0.4
_DEFAULT_PROMPT_UNTIL: Final = 0.5
_VALIDATION_SEED: Final = 990_000
_STATE_NAME: Final = "state.pt"
_MATRIX_NDIM: Final = 2
# Muon's steps are scaled to those of AdamW late in training (Liu et al. 2025), which are a fifth of
# its first steps. In runs of five minutes a factor of 4 was better than AdamW (losses of the
# lessons 15 to 25 % lower), a factor of 1 was worse.
_MUON_FACTOR: Final = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How long and how fast to train."""

    minutes: float
    seed: int = 0
    num_threads: int = 1
    batch_size: int = 8
    text_rate: float = 1.2e-3
    vision_rate: float = 1.5e-3
    # Part of `vision_rate` in the joint stage, in which the answers' loss trains vision too.
    joint_vision_part: float = 0.5
    weight_decay: float = 0.02
    save_every_s: float = 180.0
    log_every_s: float = 20.0
    validate_every_s: float = 300.0
    num_validation_batches: int = 12


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far the training is; saved with the weights."""

    trained_s: float = 0.0
    num_steps: int = 0
    num_clips: int = 0
    num_drawn: int = 0
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
        """Build from the seed, then resume the run in `out` if there is one."""
        torch.set_num_threads(settings.num_threads)
        torch.manual_seed(settings.seed)
        self._out = out
        self._settings = settings
        self.demo: DemoModel = build(seed=settings.seed)
        self._teacher = Teacher(self.demo)
        self._writer = Writer(self.demo.tokenizer)
        self._progress = Progress()
        embedding = self.demo.model.model.language_model.embed_tokens.weight
        # Times keep their random codes, so that all times are learnt equally well.
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
        self._optimizers = self._make_optimizers(vision, text)
        self._kept: deque[tuple[Batch, Seen]] = deque(maxlen=_KEPT_BATCHES)
        self._validation: list[Batch] = []
        out.mkdir(parents=True, exist_ok=True)
        if (out / _STATE_NAME).exists():
            self._resume()

    def _make_optimizers(
        self, vision: list[torch.nn.Parameter], text: list[torch.nn.Parameter]
    ) -> tuple[torch.optim.Optimizer, ...]:
        """Muon for the matrices of the layers, AdamW for the rest: embeddings, read-outs, norms."""
        settings = self._settings
        layers = {
            id(weight)
            for name, weight in self.demo.model.named_parameters()
            if weight.ndim == _MATRIX_NDIM and "embed" not in name
        }
        matrices: list[dict[str, Any]] = []
        others: list[dict[str, Any]] = []
        for name, weights, rate in (
            ("text", text, settings.text_rate),
            ("vision", vision, settings.vision_rate),
        ):
            group = {"base": rate, "name": name, "lr": 0.0}
            taken = {"base": _MUON_FACTOR * rate, "params": [w for w in weights if id(w) in layers]}
            matrices.append(group | taken)
            others.append(group | {"params": [w for w in weights if id(w) not in layers]})
        return (
            torch.optim.Muon(
                matrices, weight_decay=settings.weight_decay, adjust_lr_fn="match_rms_adamw"
            ),
            torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.0, foreach=True),
        )

    def run(self) -> None:
        """Train until the time is up; saves on the way and at the end."""
        settings, progress = self._settings, self._progress
        total_s = settings.minutes * 60
        sums = _Sums()
        drawer = Drawer(
            seed=settings.seed, batch_size=settings.batch_size, first_number=progress.num_drawn
        )
        started_s = time.monotonic() - progress.trained_s
        saved_s = validated_s = sums.since_s = progress.trained_s
        while progress.trained_s < total_s:
            part = progress.trained_s / total_s
            stage = stage_at(part)
            if stage != progress.stage:
                progress.stage, progress.stage_steps = stage, 0
                self._kept.clear()
                self._note(self.validate())
            losses, num_clips = self._step(stage, part, drawer)
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
        drawer.close()
        self._note(self.validate())
        self.save()

    def summary(self) -> str:
        """A description of this training, for the model card."""
        settings, progress = self._settings, self._progress
        return (
            f"`python -m jobs.train_demo_model --out DIR --minutes {settings.minutes:g} "
            f"--seed {settings.seed}`: {progress.trained_s / 60:.0f} minutes with "
            f"{settings.num_threads} thread(s) of torch and a process that draws, from nothing; "
            f"{progress.num_clips:,} clips in {progress.num_steps:,} steps, no clip twice but in "
            "the reading lessons. First vision alone, then reading with vision standing still, "
            "then both together."
        )

    def _set_rates(self, stage: Stage, part: float) -> None:
        settings = self._settings
        warm = min(1.0, (self._progress.stage_steps + 1) / _WARM_STEPS[stage])
        if stage == "see":
            scale = {"vision": warm * _cosine(inner_part("see", part), floor=0.08), "text": 0.0}
        else:
            text = _cosine((part - SEE_PART) / (1 - SEE_PART), floor=0.02)
            if stage == "read":
                text *= warm
            scale = {
                "text": text,
                "vision": text * warm * settings.joint_vision_part if stage == "joint" else 0.0,
            }
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * scale[group["name"]]

    def _step(self, stage: Stage, part: float, drawer: Drawer) -> tuple[dict[str, float], int]:
        self._set_rates(stage, part)
        match stage:
            case "see":
                batch, losses, loss = self._lesson_in_seeing(self._fresh(part, drawer))
            case "read":
                batch, losses, loss = self._lesson_in_reading(part, drawer)
            case "joint":
                batch, losses, loss = self._whole_lesson(self._fresh(part, drawer))
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._weights[stage], 1.0)
        for optimizer in self._optimizers:
            optimizer.step()
        return {name: value.item() for name, value in losses.items()}, len(batch.events)

    def _fresh(self, part: float, drawer: Drawer) -> Batch:
        self._progress.num_drawn += 1
        return drawer.next(part)

    def _lesson_in_seeing(self, batch: Batch) -> tuple[Batch, Losses, torch.Tensor]:
        loss = self._teacher.cell_loss(batch, self._teacher.see(batch))
        return batch, {"cells": loss}, loss

    def _lesson_in_reading(self, part: float, drawer: Drawer) -> tuple[Batch, Losses, torch.Tensor]:
        batch, seen = self._kept_batch(part, drawer)
        losses = self._teacher.text_losses(batch, seen)
        # The auxiliary losses weigh most at first, and less later.
        fading = max(0.2, 1 - 2 * part)
        loss = losses["answer"] + 0.3 * losses["pointing"]
        loss = loss + fading * (
            0.3 * losses["patches"] + 0.1 * (losses["times"] + losses["previous_times"])
        )
        return batch, losses, loss

    def _whole_lesson(self, batch: Batch) -> tuple[Batch, Losses, torch.Tensor]:
        seen = self._teacher.see(batch)
        losses = self._teacher.text_losses(batch, seen)
        losses["cells"] = self._teacher.cell_loss(batch, seen)
        loss = losses["answer"] + 0.5 * losses["cells"] + 0.2 * losses["patches"]
        times = losses["times"] + losses["previous_times"]
        return batch, losses, loss + 0.15 * times + 0.3 * losses["pointing"]

    def _kept_batch(self, part: float, drawer: Drawer) -> tuple[Batch, Seen]:
        rng = np.random.default_rng((self._settings.seed, 3, self._progress.num_steps))
        if len(self._kept) >= _FEWEST_KEPT and rng.random() >= _FRESH_CHANCE:
            batch, seen = self._kept[int(rng.integers(len(self._kept)))]
            prompt = PROMPT if inner_part("read", part) <= _DEFAULT_PROMPT_UNTIL else ""
            return retimed(rng, self._writer, batch, prompt), seen
        batch = self._fresh(part, drawer)
        with torch.no_grad():
            seen = self._teacher.see(batch)
        self._kept.append((replace(batch, pixels=torch.empty(0)), seen))
        return batch, seen

    def validate(self) -> dict[str, float]:
        """Losses and the share of clips without a wrong token, on clips never trained on."""
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
        """Write the state of the run atomically: a stop at any moment leaves the last state."""
        progress = self._progress
        state = {
            "model": self.demo.model.state_dict(),
            "heads": self._teacher.heads.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "progress": {
                "trained_s": progress.trained_s,
                "num_steps": progress.num_steps,
                "num_clips": progress.num_clips,
                "num_drawn": progress.num_drawn,
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
                "use another directory or that seed"
            )
        self.demo.model.load_state_dict(state["model"])
        self._teacher.heads.load_state_dict(state["heads"])
        for optimizer, stored in zip(self._optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(stored)
        self._progress = Progress(**state["progress"])
        log.info("resumed at step %d", self._progress.num_steps)


def _cosine(part: float, *, floor: float) -> float:
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, part))))
