"""The shipped checkpoint in real vLLM: it sees its world, and says what transformers says."""

import pytest

pytest.importorskip("vllm")

from jobs.training.exam import Exam, exam_clips, exam_prompts, score
from jobs.training.serve import open_transformers, open_vllm

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]

# Of the model card, less what few clips may lose by chance.
MIN_EVENT_F1 = 0.86
MIN_LABEL_F1 = 0.9


@pytest.fixture(scope="module")
def vllm():
    return open_vllm()


def test_it_finds_the_events_of_its_world(vllm):
    exam = Exam(num_clips=60, seed=20_001)
    clips = exam_clips(exam)
    result = score(clips, vllm(clips, exam_prompts(exam)))
    assert result["valid_json"] == 1.0
    assert result["event_f1"] >= MIN_EVENT_F1
    assert result["label_f1"] >= MIN_LABEL_F1


def test_it_finds_nothing_where_nothing_happens(vllm):
    exam = Exam(num_clips=30, seed=20_002, empty=True)
    clips = exam_clips(exam)
    result = score(clips, vllm(clips, exam_prompts(exam)))
    assert result["empty_groups"]["num"] == 30
    assert result["empty_groups"]["num_without_events"] >= 29


def test_vllm_and_transformers_write_the_same_text(vllm):
    exam = Exam(num_clips=100, seed=20_003)
    clips, prompts = exam_clips(exam), exam_prompts(exam)
    theirs = open_transformers()(clips, prompts)
    ours = vllm(clips, prompts)
    same = [one == other for one, other in zip(ours, theirs, strict=True)]
    assert sum(same) == len(clips)
