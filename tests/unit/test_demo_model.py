"""The shipped checkpoint is the one that was trained, and answers parse as they should."""

import numpy as np
import pytest

from jobs.training.card import card
from jobs.training.clip import make_clip
from jobs.training.exam import Exam, exam_clips, exam_prompts, parse_answer, score, sit, suite
from jobs.training.hashes import HASHES_NAME, broken_files
from jobs.training.serve import CHECKPOINT
from pipeline.demo.language import PROMPTS, UNSEEN_PROMPTS, answer_schema

MAX_CHECKPOINT_BYTES = 15_000_000


def test_the_checkpoint_is_whole_and_small():
    listed = (CHECKPOINT / HASHES_NAME).read_text()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "MODEL_CARD.md"):
        assert name in listed
    assert broken_files(CHECKPOINT) == []
    sizes = [path.stat().st_size for path in CHECKPOINT.iterdir()]
    assert sum(sizes) < MAX_CHECKPOINT_BYTES


def test_right_answers_score_one():
    clips = exam_clips(Exam(num_clips=12, seed=1))
    result = score(clips, [clip.answer for clip in clips])
    assert result["event_f1"] == result["valid_json"] == result["answers_exact"] == 1.0
    assert result["times_shown_in_prompt"] == 1.0
    assert result["identified_start_error_steps"] == 0.0


def test_the_card_tells_the_scores_of_every_exam():
    exams = suite(1, num_clips=6)
    scores = sit(exams, lambda clips, _: [clip.answer for clip in clips])
    text = card(scores, "Trained.", seed=1, num_clips=6)
    assert "--seed 1 --clips 6" in text
    for name in exams.keys() - {"empty"}:
        assert f"\n| {name} | " in text
    assert "(empty): 4 of 4 without an event" in text
    assert "\nTrained.\n" in text
    truth = sum(scores[f"seed {seed}"]["per_label"]["loiter"]["num_truth"] for seed in (1, 2, 3))
    assert f"\n| `loiter` | 0 | 0 | {truth} | 0 | 0 | 0 |\n" in text


def test_broken_answers_score_nothing_and_are_counted():
    clips = exam_clips(Exam(num_clips=4, seed=2))
    result = score(clips, ["", "{}", '{"events":[{}],"summary":""}', "nothing happens"])
    assert result["valid_json"] == 0.0
    assert result["num_found"] == 0


def test_an_exam_is_the_same_each_time_and_another_seed_is_another_exam():
    first, again, other = (exam_clips(Exam(num_clips=3, seed=seed)) for seed in (7, 7, 8))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.frames, two.frames)
    assert [clip.answer for clip in first] != [clip.answer for clip in other]
    assert all(8 <= len(clip.frames) <= 32 for clip in first)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"events":[]}',
        '{"events":[],"summary":1}',
        '{"events":[],"summary":"","more":1}',
        '{"events":[{"label":"loiter","start":1.0}],"summary":""}',
        '{"events":[{"label":"loiter","start":"1","end":2.0}],"summary":""}',
        '{"events":[{"label":"unknown","start":1.0,"end":2.0}],"summary":""}',
        '{"events":[{"label":"loiter","start":true,"end":2.0}],"summary":""}',
        '{"events":[{"label":"loiter","color":"pink","start":1.0,"end":2.0}],"summary":""}',
    ],
)
def test_an_answer_that_leaves_the_schema_is_no_answer(text):
    assert parse_answer(text) is None


def test_the_right_answers_keep_to_the_schema():
    allowed = set(answer_schema()["properties"]["events"]["items"]["properties"])
    for seed in range(20):
        events = parse_answer(make_clip(np.random.default_rng(seed), num_frames=10).answer)
        assert events is not None
        assert all(set(event) <= allowed for event in events)


def test_the_wordings_of_an_exam():
    assert set(exam_prompts(Exam(num_clips=30, seed=0, wording="listed"))) == set(PROMPTS)
    assert not set(UNSEEN_PROMPTS) & set(PROMPTS)
