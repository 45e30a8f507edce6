"""The generated world: what the truth says is what the pixels show."""

from collections import Counter

import numpy as np
import pytest

from jobs.training.clip import EMPTY, ClipMix, make_clip
from pipeline.demo.language import LABELS, answer_text
from pipeline.demo.scene import Scene, TruthEvent, make_appearance, markers, render, seen_in
from pipeline.demo.things import WORLD_WIDTH, loitering, make_body, passing
from pipeline.demo.timeline import draw_needles, draw_slots, make_timeline

HEIGHT_PX, WIDTH_PX = 96, 160


def quiet_look(seed=0, *, height_px=HEIGHT_PX, width_px=WIDTH_PX, with_door=False):
    """A view without noise, so that a pixel changes only when something happens."""
    rng = np.random.default_rng(seed)
    while True:
        appearance = make_appearance(rng, height_px=height_px, width_px=width_px)
        if appearance.pole is None and (appearance.door is not None) == with_door:
            break
    return type(appearance)(
        height_px=appearance.height_px,
        width_px=appearance.width_px,
        background=appearance.background,
        door=appearance.door,
        pole=None,
        gain=1.0,
        gain_swing=0.0,
        gain_period_s=1.0,
        flicker=0.0,
        noise_sigma=0.0,
        dark_gain=0.25,
        noise_seed=0,
    )


def changed(scene, time_s, empty):
    """The columns in which the frame differs from the empty scene."""
    difference = render(scene, time_s).astype(int) - render(empty, time_s).astype(int)
    return np.flatnonzero(np.abs(difference).max((0, 2)) > 20)


@pytest.mark.parametrize("to_left", [False, True])
@pytest.mark.parametrize("size", [(96, 160), (224, 384)])
def test_a_thing_is_in_the_picture_exactly_while_the_truth_says_so(to_left, size):
    height_px, width_px = size
    appearance = quiet_look(height_px=height_px, width_px=width_px)
    body = make_body(np.random.default_rng(1), color="red", shape="car")
    thing = passing(np.random.default_rng(2), body, start_s=5.0, end_s=15.0, to_left=to_left)
    scene = Scene(appearance=appearance, things=(thing,))
    empty = Scene(appearance=appearance, things=())

    # Its whole width needs less than half a second on either side of the border.
    assert len(changed(scene, 4.5, empty)) == 0
    assert len(changed(scene, 15.5, empty)) == 0
    at_start, middle, at_end = (changed(scene, at, empty) for at in (5.0, 10.0, 14.999))
    scale = width_px / WORLD_WIDTH
    assert len(middle) == pytest.approx(body.width * scale, abs=3)
    # At its start and at its end, half of it is inside.
    for half, at_right_border in ((at_start, to_left), (at_end, not to_left)):
        assert len(half) == pytest.approx(body.width * scale / 2, abs=3)
        assert (half.max() == width_px - 1) == at_right_border
    order = [changed(scene, at, empty).mean() for at in (6.0, 8.0, 10.0, 12.0, 14.0)]
    assert order == sorted(order, reverse=to_left)


def test_a_loitering_person_stands_where_it_is_said_to_stand():
    appearance = quiet_look()
    body = make_body(np.random.default_rng(1), color="blue", shape="person")
    thing = loitering(
        np.random.default_rng(2),
        body,
        start_s=3.0,
        end_s=23.0,
        x=70.0,
        from_left=True,
        to_left=False,
    )
    scene = Scene(appearance=appearance, things=(thing,))
    empty = Scene(appearance=appearance, things=())

    assert len(changed(scene, 2.0, empty)) == 0
    assert len(changed(scene, 24.0, empty)) == 0
    standing = [changed(scene, at, empty) for at in (5.0, 12.0, 21.0)]
    for columns in standing:
        assert columns.mean() == pytest.approx(70.0, abs=2)


def test_dark_and_open_door_begin_with_their_start_and_end_before_their_end():
    appearance = quiet_look(with_door=True)
    sanitized = Scene(appearance=appearance, things=())
    left, top, wide, high = appearance.door
    middle = (round(top + high / 2), round(left + wide / 2))

    dark = Scene(appearance=appearance, things=(), dark_s=((2.0, 4.0),))
    brightness = {at: render(dark, at).mean() for at in (1.999, 2.0, 3.999, 4.0)}
    usual = render(sanitized, 0.0).mean()
    assert brightness[1.999] == pytest.approx(usual, abs=1)
    assert brightness[2.0] == pytest.approx(usual / 4, rel=0.1)
    assert brightness[3.999] == pytest.approx(usual / 4, rel=0.1)
    assert brightness[4.0] == pytest.approx(usual, abs=1)

    door = Scene(appearance=appearance, things=(), door_open_s=((2.0, 4.0),))
    openness = [render(door, at)[middle].max() < 30 for at in (1.999, 2.0, 3.999, 4.0)]
    assert openness == [False, True, True, False]


def test_a_frame_depends_on_its_time_and_not_on_the_order_of_asking():
    rng = np.random.default_rng(5)
    scene = make_clip(rng, num_frames=8).scene
    forward = [render(scene, at / 2) for at in range(10)]
    backward = [render(scene, at / 2) for at in reversed(range(10))]
    for first, second in zip(forward, reversed(backward), strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_same_seed_gives_the_same_clip_and_another_seed_another():
    clips = [make_clip(np.random.default_rng(seed), num_frames=9) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(clips[0].frames, clips[1].frames)
    assert clips[0].answer == clips[1].answer
    assert not np.array_equal(clips[0].frames, clips[2].frames)


@pytest.mark.parametrize(
    ("start_s", "end_s", "expected"),
    [
        # Frames at 0, 1, 2 ... 7 s: patches (0, 1), (2, 3), (4, 5), (6, 7).
        (2.0, 6.0, (1, 2)),  # the start is in, the end is out
        (2.001, 6.0, (1, 2)),  # the second frame of a patch is enough
        (3.001, 6.001, (2, 3)),
        (0.0, 100.0, (0, 3)),
        (-5.0, 1.001, (0, 0)),
        (-5.0, 1.0, None),  # one frame does not tell which way a thing goes
        (6.0, 8.0, (3, 3)),
        (6.001, 8.0, None),
        (3.0, 5.0, (1, 2)),  # the last frame of a patch and the first of the next
    ],
)
def test_an_event_is_seen_in_the_patches_of_the_frames_inside_it(start_s, end_s, expected):
    event = TruthEvent(label="light_off", color=None, shape=None, start_s=start_s, end_s=end_s)
    seen = seen_in(event, [second * 1000 for second in range(8)])
    assert (seen and (seen.first_patch, seen.last_patch)) == expected


def test_a_marker_is_the_mean_of_its_two_frames_and_an_odd_frame_is_its_own_pair():
    assert markers([0, 1000, 2000, 3500, 5000]) == ("0.5", "2.8", "5.0")


@pytest.mark.parametrize("size", [(90, 160), (96, 150)])
def test_a_frame_size_that_is_no_multiple_of_32_is_refused(size):
    with pytest.raises(ValueError, match="multiples of 32"):
        make_appearance(np.random.default_rng(0), height_px=size[0], width_px=size[1])


def test_clips_hold_every_label_and_an_empty_clip_none():
    labels = set()
    for seed in range(60):
        clip = make_clip(np.random.default_rng(seed), num_frames=12)
        labels |= {event.label for event in clip.events}
        assert all(event.first_patch <= event.last_patch < 6 for event in clip.events)
        assert clip.answer == answer_text(clip.events, clip.markers)
        empty = make_clip(np.random.default_rng(seed), num_frames=12, mix=EMPTY)
        assert empty.events == ()
    assert labels == set(LABELS)


def test_clips_cut_events_as_windows_do_and_tell_those_of_which_two_frames_are_left():
    mix = ClipMix(num_moving_weights=(0.0, 1.0), dark_chance=0.5, door_chance=0.5)
    counts = Counter[int]()
    for seed in range(80):
        clip = make_clip(np.random.default_rng(seed), num_frames=16, mix=mix)
        shown = [
            sum(event.start_s <= at / 1000 < event.end_s for at in clip.frame_times_ms)
            for event in clip.scene.events()
        ]
        counts.update(min(number, 3) for number in shown)
        assert len(clip.events) == sum(number >= 2 for number in shown)
    assert min(counts[1], counts[2], counts[3]) > 0


def test_a_timeline_holds_its_slots_and_nothing_else():
    rng = np.random.default_rng(8)
    slots = draw_slots(rng, start_s=0, end_s=600, num_events=12)
    scene = make_timeline(rng, slots, height_px=HEIGHT_PX, width_px=WIDTH_PX)
    found = sorted((e.label, round(e.start_s, 6), round(e.end_s, 6)) for e in scene.events())
    assert found == sorted((s.label, round(s.start_s, 6), round(s.end_s, 6)) for s in slots)


def test_needles_lie_one_in_each_part_of_the_time():
    slots = draw_needles(np.random.default_rng(1), duration_s=7200, num_needles=5)
    assert [int(slot.start_s // 1440) for slot in slots] == [0, 1, 2, 3, 4]
    assert [int(slot.end_s // 1440) for slot in slots] == [0, 1, 2, 3, 4]
    assert {slot.label for slot in slots} == set(LABELS)
