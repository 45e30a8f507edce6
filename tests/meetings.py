"""Two recorded meetings with captions beside them, and how they are indexed without Ray."""

from contextlib import contextmanager
from unittest import mock

from pipeline.config import load_config
from pipeline.flow.driver import archive as driver
from pipeline.flow.driver.passes import passes_of
from pipeline.sources import list_sources
from tests.hard import without_ray
from tests.sounds import beeps, make_sound

CUES = """WEBVTT

00:00:00.500 --> 00:00:01.500
<v Ada>The price is 40 euros.</v>

00:00:02.000 --> 00:00:03.000
<v Grace>价格不变。</v>
"""


@contextmanager
def ray_left_out():
    """Jobs of this process run in it alone."""
    ours = ("running_ray", "probe_graph", "answer_graph")
    with mock.patch.multiple(driver, **{name: getattr(driver, name) for name in ours}):
        without_ray.leave_out_ray()
        yield


def write_meetings(folder):
    """A folder with a recording, one of sound alone, and what is said in both."""
    folder.mkdir()
    wave = beeps([1.0], 4.0)
    make_sound(folder / "room_20260301T080000Z.mp4", [(wave, 0.0)], codec="aac", pictures_s=4.0)
    make_sound(folder / "call_20260301T090000Z.m4a", [(wave, 0.0)], codec="aac")
    for name in ("room_20260301T080000Z.vtt", "call_20260301T090000Z.en.vtt"):
        (folder / name).write_text(CUES, encoding="utf-8")
    return folder


def run(folder, where, *overrides):
    """The reports of the pass that looks and of the one that reads the captions."""
    config = load_config(None, ("speech={kind: captions}", *overrides))
    sources = list_sources([str(folder)], config.listed_sources)
    return [
        driver.index_archive(files, one, str(where), on_progress=lambda _report: None)
        for one, files in passes_of(config, sources)
    ]


def told(index, **options):
    """Camera, second in the file, speaker and text of each utterance."""
    return [
        (row["camera"], row["media_start"], row["speaker"], row["text"])
        for row in index.utterances(**options).to_pylist()
    ]
