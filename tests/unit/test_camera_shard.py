"""An archive is divided among drivers by camera: a camera is in the same part everywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.sources import CameraShard

CAMERAS = ("gate", "yard", "院子")

CAMERAS = ("gate", "yard", "院子")


@given(camera=st.text(st.characters(codec="utf-8")), count=st.integers(1, 64))
def test_every_camera_is_in_exactly_one_part(camera, count):
    parts = [CameraShard(number, count) for number in range(1, count + 1)]
    assert sum(part.holds(camera) for part in parts) == 1


def test_a_camera_stays_in_its_part_in_every_version():
    parts = [CameraShard(number, 16) for number in range(1, 17)]
    part_of = {camera: str(part) for part in parts for camera in CAMERAS if part.holds(camera)}
    assert part_of == {"gate": "1/16", "yard": "9/16", "院子": "9/16"}


def test_parts_are_about_equal():
    sizes = [
        sum(part.holds(f"cam{n:04}") for n in range(1600))
        for part in (CameraShard(number, 16) for number in range(1, 17))
    ]
    assert 60 < min(sizes) <= max(sizes) < 140


def test_a_part_is_parsed_from_the_text_that_it_prints():
    for text in ("1/1", "1/16", "3/16", "16/16"):
        assert str(CameraShard.parse(text)) == text


@pytest.mark.parametrize("text", ["0/16", "17/16", "3", "3/0", "a/b", "3/16/2", "-1/4", " 3/16"])
def test_other_texts_are_refused_and_the_error_shows_the_form(text):
    with pytest.raises(ConfigError, match="must be N/M with N from 1 to M"):
        CameraShard.parse(text)
