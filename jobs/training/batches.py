# ruff: noqa: PLR2004  # a drawn world is made of numbers; a name for each would say less
"""Training batches: clips of one shape with one prompt, as token ids, pixels and targets."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from jobs.training.clip import Clip, ClipMix, draw_frame_times_ms, make_clip
from jobs.training.forward import NUM_TOKENS_BEFORE_PATCHES, Shape, patchify
from jobs.training.lessons import Lesson, lesson
from jobs.training.model import PATCH_PX, TEMPORAL_PATCH_FRAMES
from jobs.training.tokens import TURN_END, VIDEO_PAD, VISION_END, VISION_START
from pipeline.demo.language import PROMPT, PROMPTS, SeenEvent, answer_text
from pipeline.demo.scene import markers

IGNORED: Final = -100

# Height, width, weight. Mostly the smallest, which costs a sixth of the largest.
_SIZES: Final = (
    (96, 160, 0.74),
    (128, 192, 0.04),
    (128, 224, 0.06),
    (160, 256, 0.04),
    (160, 288, 0.02),
    (192, 320, 0.06),
    (224, 384, 0.04),
)
_ODD_CHANCE: Final = 0.06
_DEGRADED_CHANCE: Final = 0.35
_DEFAULT_PROMPT_CHANCE: Final = 0.5
_LISTED_PROMPT_CHANCE: Final = 0.25
_MAX_BATCH_TOKENS: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The contents of a batch."""

    num_patches: int
    height_px: int
    width_px: int
    num_clips: int
    mix: ClipMix | None
    prompt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Clips as tensors; `pixels` are [clip*patch, 16x16 patch, values]."""

    shape: Shape
    pixels: torch.Tensor
    cells: torch.Tensor
    patches: torch.Tensor
    text: "Text"
    events: tuple[tuple[SeenEvent, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Token ids of prompts and answers, and the targets for the tokens of the answers."""

    ids: torch.Tensor
    # From the first token of the answer on; IGNORED after the end of a shorter answer.
    labels: torch.Tensor
    answer_start: int
    # Where the pointing heads should look when the next token is a time, else IGNORED: [clip, start
    # or end, answer position]. No patch shows that it is the last of an event, so for an end it is
    # the first patch after the event.
    pointed: torch.Tensor
    # Ids of the times of the patches [clip, patch].
    times: torch.Tensor


def draw_plan(rng: np.random.Generator, *, batch_size: int, progress: float) -> Plan:
    """Small and short windows at first, then every size and length (`progress` from 0 to 1)."""
    size = _SIZES[0]
    if progress > 0.15:
        weights = np.array([weight for _, _, weight in _SIZES])
        size = _SIZES[int(rng.choice(len(_SIZES), p=weights / weights.sum()))]
    height_px, width_px, _ = size
    longest = 6 if progress < 0.1 else 8 if progress < 0.3 else 16
    group = rng.random()
    if group < 0.06 and progress > 0.1:
        num_patches = int(rng.integers(1, 4))
    elif group < 0.36 or longest <= 8:
        num_patches = int(rng.integers(4, min(longest, 8) + 1))
    elif group < 0.68:
        num_patches = int(rng.integers(9, 13))
    else:
        num_patches = int(rng.integers(13, 17))
    shape = Shape(num_patches, height_px // PATCH_PX, width_px // PATCH_PX)
    fitting = _MAX_BATCH_TOKENS // (num_patches * shape.tokens_per_patch)
    return Plan(
        num_patches=num_patches,
        height_px=height_px,
        width_px=width_px,
        num_clips=max(2, min(batch_size, fitting)),
        mix=None,
        prompt=PROMPT if progress < 0.2 else "",
    )


class Writer:
    """Turns clips into token ids; holds the tokenizer and the token ids of fixed texts."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        """Look up the fixed ids once."""
        self._tokenizer = tokenizer
        vocabulary: dict[str, int] = tokenizer.get_vocab()
        self._vocabulary = vocabulary
        self._words = sorted(token for token in vocabulary if token.isalpha() and token.isascii())
        self._before: list[int] = self._cut(f"<|im_start|>user\n{VISION_START}")
        if len(self._before) != NUM_TOKENS_BEFORE_PATCHES:
            raise AssertionError(f"the prompt starts with {len(self._before)} tokens")
        self._video = vocabulary[VIDEO_PAD]
        self._open, self._close = vocabulary[VISION_START], vocabulary[VISION_END]
        self._end = vocabulary[TURN_END]
        opened, _, closed = self._cut("<1.0 seconds>")
        self._around_time = (opened, closed)

    def _cut(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text).input_ids
        return ids

    def draw_prompt(self, rng: np.random.Generator) -> str:
        """The default prompt, a listed one, or nonsense, because the wording must not matter."""
        chance = rng.random()
        if chance < _DEFAULT_PROMPT_CHANCE:
            return PROMPT
        if chance < _DEFAULT_PROMPT_CHANCE + _LISTED_PROMPT_CHANCE:
            return str(rng.choice(PROMPTS))
        pieces: list[str] = []
        for _ in range(int(rng.integers(1, 25))):
            if rng.random() < 0.8:
                pieces.append(str(rng.choice(self._words)))
            else:
                letters = rng.integers(97, 123, int(rng.integers(2, 9))).tolist()
                pieces.append("".join(map(chr, letters)))
            if rng.random() < 0.1:
                pieces[-1] += str(rng.choice((",", ".", "?", ":", ";", " -", "\n")))
        return " ".join(pieces).capitalize() + str(rng.choice((".", "?", "", "!", ":")))

    def write(
        self,
        shape: Shape,
        prompt: str,
        clips: list[tuple[tuple[str, ...], tuple[SeenEvent, ...]]],
    ) -> Text:
        """The text of a batch: for each clip the times of its patches, and its events."""
        after = self._cut(f"{VISION_END}{prompt}<|im_end|>\n<|im_start|>assistant\n")
        ends = shape.patch_ends_and_video_end().tolist()
        rows: list[list[int]] = []
        answers: list[list[int]] = []
        pointers: list[tuple[list[int], list[int]]] = []
        times: list[list[int]] = []
        for clip_markers, events in clips:
            clip_times = [self._vocabulary[marker] for marker in clip_markers]
            row = list(self._before)
            for time in clip_times:
                row += [self._around_time[0], time, self._around_time[1], self._open]
                row += [self._video] * shape.num_cells + [self._close]
            answer = [*self._cut(answer_text(events, clip_markers)), self._end]
            rows.append(row + after + answer)
            answers.append(answer)
            pointers.append(self._point(answer, clip_times, events, ends))
            times.append(clip_times)
        answer_start = len(rows[0]) - len(answers[0])
        return Text(
            ids=_padded(rows, 0),
            labels=_padded(answers, IGNORED),
            answer_start=answer_start,
            pointed=torch.stack(
                [_padded([pair[which] for pair in pointers], IGNORED) for which in (0, 1)], dim=1
            ),
            times=torch.tensor(times),
        )

    def _point(
        self,
        answer: list[int],
        clip_times: list[int],
        events: tuple[SeenEvent, ...],
        ends: list[int],
    ) -> tuple[list[int], list[int]]:
        known = set(clip_times)
        ordered = sorted(events, key=lambda event: event.sort_key)
        places = [place for place, token in enumerate(answer) if token in known]
        starts, overs = [IGNORED] * len(answer), [IGNORED] * len(answer)
        for event, start, end in zip(ordered, places[::2], places[1::2], strict=True):
            starts[start] = ends[event.first_patch]
            overs[end] = ends[event.last_patch + 1]
        return starts, overs


def _padded(rows: list[list[int]], value: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [value] * (longest - len(row)) for row in rows])


def draw_clip(rng: np.random.Generator, plan: Plan) -> Clip:
    """A new clip of the plan's shape."""
    num_frames = plan.num_patches * TEMPORAL_PATCH_FRAMES
    if rng.random() < _ODD_CHANCE and num_frames > TEMPORAL_PATCH_FRAMES:
        num_frames -= 1
    return make_clip(
        rng,
        num_frames=num_frames,
        height_px=plan.height_px,
        width_px=plan.width_px,
        mix=plan.mix,
        degraded_chance=_DEGRADED_CHANCE,
    )


def even_frames(clip: Clip) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The frames, with an odd last one repeated, as the video processor does."""
    if len(clip.frames) % TEMPORAL_PATCH_FRAMES:
        return np.concatenate((clip.frames, clip.frames[-1:]))
    return clip.frames


def make_batch(rng: np.random.Generator, writer: Writer, plan: Plan) -> Batch:
    """Render a batch."""
    shape = Shape(plan.num_patches, plan.height_px // PATCH_PX, plan.width_px // PATCH_PX)
    clips = [draw_clip(rng, plan) for _ in range(plan.num_clips)]
    lessons: list[Lesson] = [lesson(clip) for clip in clips]
    prompt = plan.prompt or writer.draw_prompt(rng)
    text = writer.write(shape, prompt, [(clip.markers, clip.events) for clip in clips])
    pixels = np.concatenate([patchify(even_frames(clip)) for clip in clips])
    return Batch(
        shape=shape,
        pixels=torch.from_numpy(pixels),
        cells=torch.from_numpy(np.concatenate([lesson.cells for lesson in lessons])),
        patches=torch.from_numpy(np.stack([lesson.patches for lesson in lessons])),
        text=text,
        events=tuple(clip.events for clip in clips),
    )


def retimed(rng: np.random.Generator, writer: Writer, batch: Batch, prompt: str) -> Batch:
    """The same clips with other frame times: new text to copy, without running vision again."""
    num_frames = batch.shape.num_patches * TEMPORAL_PATCH_FRAMES
    clips = [(markers(draw_frame_times_ms(rng, num_frames)), events) for events in batch.events]
    text = writer.write(batch.shape, prompt or writer.draw_prompt(rng), clips)
    return replace(batch, text=text)
