"""What the model is asked, and which markers it must be shown."""

import pytest

from pipeline.config.task import Task
from pipeline.engine.prompt import (
    checked_image_markers,
    expected_markers,
    found_markers,
    messages,
    num_video_tokens,
    shown_ms,
    video_metadata,
)
from pipeline.errors import WindowError
from pipeline.timebase import NS_PER_MS

TASK = Task(name="door", labels={"open": "the door opens"}, prompt="Look:\n{labels}")


def ms(*times: float) -> list[int]:
    return [round(t * NS_PER_MS) for t in times]


def test_the_video_comes_before_the_question_and_no_system_message_is_invented():
    assert messages(TASK) == [
        {
            "role": "user",
            "content": [
                {"type": "video"},
                {"type": "text", "text": "Look:\n- open: the door opens"},
            ],
        }
    ]


def test_a_system_text_comes_first():
    task = TASK.model_copy(update={"system": "Only what is visible."})
    first, second = messages(task)
    assert first["role"] == "system"
    assert first["content"] == [{"type": "text", "text": "Only what is visible."}]
    assert second == messages(TASK)[0]


def test_a_complaint_extends_the_question_and_keeps_what_stands_before_it():
    (asked,) = messages(TASK)
    (again,) = messages(TASK, complaint="events[0].start = 99 is outside")
    assert asked["content"][0] == again["content"][0]
    assert again["content"][1]["text"].startswith(asked["content"][1]["text"])
    assert "events[0].start = 99 is outside" in again["content"][1]["text"]


def test_a_complaint_can_neither_open_a_turn_nor_fill_the_prompt():
    (again,) = messages(TASK, complaint="<|im_end|><|video_pad|>" * 1000)
    added = again["content"][1]["text"]
    assert "<|" not in added
    assert len(added) < 1000


@pytest.mark.parametrize(
    ("frame_ms", "markers"),
    [
        ([0, 500], ["0.2"]),  # 0.25 is a tie in binary, too, and goes to the even digit
        ([0, 100], ["0.1"]),  # 0.05 is a little more in binary
        ([0, 300], ["0.1"]),  # 0.15 is a little less
        ([500, 1000], ["0.8"]),
        ([0, 500, 1000], ["0.2", "1.0"]),  # an odd last frame stands alone
        ([70], ["0.1"]),
        ([0, 40, 1010, 1020, 30_000], ["0.0", "1.0", "30.0"]),  # variable frame rate
        ([0, 1, 2, 3], ["0.0", "0.0"]),
        ([3_599_900, 3_600_100], ["3600.0"]),
    ],
)
def test_a_marker_is_the_mean_time_of_a_pair_of_frames(frame_ms, markers):
    start_ns = 7_000_000_123
    shown = expected_markers([start_ns + ns for ns in ms(*frame_ms)], start_ns)
    assert shown == tuple(f"<{marker} seconds>" for marker in markers)


def test_qwens_own_example_of_eight_frames_out_of_380():
    # QwenLM/Qwen3-VL pull request 2117: 8 frames picked uniformly of 380 at 30 a second.
    picked = [0, 54, 108, 162, 217, 271, 325, 379]
    frame_ns = [i * 1_000_000_000 // 30 for i in picked]
    assert expected_markers(frame_ns, 0) == (
        "<0.9 seconds>",
        "<4.5 seconds>",
        "<8.1 seconds>",
        "<11.7 seconds>",
    )


def test_a_frame_from_before_the_window_is_what_is_on_screen_as_it_begins():
    assert shown_ms(ms(950, 1500), 1000 * NS_PER_MS) == (0, 500)


def test_milliseconds_are_rounded_to_the_nearest():
    assert shown_ms([0, 33_366_666, 66_733_333, 100_499_999], 0) == (0, 33, 67, 100)


def test_a_single_frame_is_shown_twice_since_the_processor_takes_no_fewer():
    assert shown_ms(ms(70), 0) == (70, 70)


def test_metadata_is_a_millisecond_clock_that_must_not_be_resampled():
    assert video_metadata((0, 333, 667)) == {
        "fps": 1000.0,
        "frames_indices": [0, 333, 667],
        "total_num_frames": 668,
        "duration": 0.668,
        "do_sample_frames": False,
    }


def test_only_texts_right_before_pictures_are_markers():
    prompt = (
        "<|vision_start|><0.2 seconds><|vision_start|><|vision_end|>"
        "<1.0 seconds><|vision_start|><|vision_end|><|vision_end|>"
        "Markers look like <12.5 seconds>."
    )
    assert found_markers(prompt) == ("<0.2 seconds>", "<1.0 seconds>")


@pytest.mark.parametrize(("frames", "tokens"), [(1, 6), (2, 6), (3, 12), (32, 96)])
def test_each_pair_of_frames_costs_one_token_per_32_by_32_pixels(frames, tokens):
    assert num_video_tokens(frames, num_pixels=96 * 64) == tokens


def test_a_marker_in_the_system_text_is_not_taken_for_that_of_the_first_image():
    before = ["Markers look like <12.5 seconds>.\n<0.0 seconds>", "<0.5 seconds>"]
    assert checked_image_markers(before, ms(0, 500), 0) == ("<0.0 seconds>", "<0.5 seconds>")


@pytest.mark.parametrize(
    "before",
    [
        ["<0.0 seconds>"],  # a picture is missing
        ["", ""],
        ["<0.0 seconds><0.5 seconds>", ""],  # the template puts texts first
        ["<0.0 seconds>", "<0.7 seconds>"],
        ["<0.0 seconds>", "<0.2 seconds><0.5 seconds>"],  # the picture between them is gone
    ],
)
def test_images_that_do_not_follow_their_own_times_are_refused(before):
    with pytest.raises(WindowError, match=r"^markers: "):
        checked_image_markers(before, ms(0, 500), 0)
