"""Writes the demo model's card after training; every score in it is computed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any, Final

from pipeline.demo.language import LABELS
from pipeline.evaluation.scores import NOTHING, f1

CARD_NAME: Final = "MODEL_CARD.md"
_TEXT: Final = Path(__file__).with_name("card.md")

# Heading and key of a row of the table of scores.
_COLUMNS: Final = (
    ("clips", "num_clips"),
    ("valid JSON", "valid_json"),
    ("event F1", "event_f1"),
    ("over whole patches", "event_f1_over_whole_patches"),
    ("and fields right", "event_f1_with_fields"),
    ("within one step", "event_f1_within_a_step"),
    ("label F1", "label_f1"),
    ("start error", "identified_start_error_steps"),
    ("clips wholly right", "clips_right"),
)


def card(
    scores: Mapping[str, Mapping[str, Any]], training: str, *, seed: int, num_clips: int
) -> str:
    """The whole card as Markdown; ``scores`` are those of ``exam.suite(seed, num_clips)``."""
    return Template(_TEXT.read_text(encoding="utf-8")).substitute(
        seed=seed, clips=num_clips, scores=_scores(scores), training=training
    )


def _scores(scores: Mapping[str, Mapping[str, Any]]) -> str:
    scored = {name: exam for name, exam in scores.items() if exam["num_truth"]}
    empty = {name: exam["empty_groups"] for name, exam in scores.items() if name not in scored}
    seeds = [exam for name, exam in scored.items() if name.startswith("seed ")]
    rows = [
        [name, *(f"{exam[key]:.3f}".removesuffix(".000") for _, key in _COLUMNS)]
        for name, exam in scored.items()
    ]
    return "\n\n".join(
        [
            _table(["exam", *(heading for heading, _ in _COLUMNS)], rows),
            *(
                f"Clips in which nothing happens ({name}): {clips['num_without_events']} of "
                f"{clips['num']} without an event."
                for name, clips in empty.items()
            ),
            f"Event F1 per label, the {len(seeds)} seeds together: {_per_label(seeds)}.",
            "What was found where each label was (overlap at least half; the same seeds):",
            _confusion(seeds),
        ]
    )


def _per_label(exams: Sequence[Mapping[str, Any]]) -> str:
    texts: list[str] = []
    for label in LABELS:
        numbers = (
            sum(exam["per_label"].get(label, {}).get(key, 0) for exam in exams)
            for key in ("num_matches", "num_truth", "num_found")
        )
        texts.append(f"`{label}` {f1(*numbers):.3f}")
    return ", ".join(texts)


def _confusion(exams: Sequence[Mapping[str, Any]]) -> str:
    names = [*LABELS, NOTHING]
    rows = [
        [
            _code(true),
            *(str(sum(exam["confusion"].get(true, {}).get(n, 0) for exam in exams)) for n in names),
        ]
        for true in names
    ]
    return _table(["true", *map(_code, names)], rows)


def _code(name: str) -> str:
    return "nothing" if name == NOTHING else f"`{name}`"


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
