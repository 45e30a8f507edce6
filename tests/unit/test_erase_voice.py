"""Whose words are erased may follow from voices: the others keep their words, names and numbers."""

import shutil
from contextlib import suppress
from datetime import timedelta

import pytest

import pipeline.index as pi
from pipeline.config import load_config
from pipeline.errors import ConfigError
from pipeline.flow.driver.finish import finish_videos
from pipeline.flow.driver.ledger import WholeVideo
from pipeline.flow.driver.rederive import derive
from pipeline.index.check import check
from pipeline.index.erase import apply_orders, erase
from pipeline.index.filters import Where
from pipeline.index.maintain import vacuum
from pipeline.index.repair import repair
from pipeline.index.replace import replace
from pipeline.index.scope import Scope
from pipeline.records import WindowResult, make_id
from pipeline.tables.said import write_said
from pipeline.tables.schema import TABLES
from pipeline.tables.shared import Provenance
from pipeline.tables.windows import windows_table
from tests.meetings import told
from tests.spoken import prints_of, range_s, said_of
from tests.state.scripted import KilledError, at_write, kill
from tests.unit.test_index_erase import everything_stored
from tests.unit.test_stitch import make_video

CONFIG = load_config(
    None,
    (
        "speech={kind: whisper, weights: w}",
        "speech.voices={weights: v.onnx, input: samples, same: 0.6, speakers: {Mary: mary.wav}}",
    ),
).listening
ADA, GRACE, MARY = 3, 9, 20
ALL = [
    ("cam", 1.0, "speaker 1", "secret plan"),
    ("cam", 6.0, "speaker 2", "what plan"),
    ("cam", 21.0, "Mary", "no plan"),
    ("cam", 31.0, "speaker 1", "secret again"),
    ("cam", 36.0, "speaker 2", "fine by me"),
]


def write(where):
    """A video in which three speak; the windows are those of two shards."""
    video = make_video()
    spoken = [
        ((0, 20), [(ADA, 0, 5), (GRACE, 5.5, 19)], [("secret plan", 1), ("what plan", 6)]),
        ((20, 30), [(MARY, 20, 29)], [("no plan", 21)]),
        ((30, 60), [(ADA, 30, 35), (GRACE, 35.5, 50)], [("secret again", 31), ("fine by me", 36)]),
    ]
    results = tuple(
        WindowResult(
            window_id=make_id(*span), shard_id="s", video_id=video.video_id, span=range_s(*span),
            status="analysed", frame_pts=(), finish_reason="stop",
            text=write_said([said_of(text, at_s) for text, at_s in said], range_s(*span)),
            voices=tuple(prints_of(turns, known=(MARY,))),
        )
        for span, turns, said in spoken
    )  # fmt: skip
    made_by = Provenance(
        task="speech", model="m", prompt_id="p", fingerprint=CONFIG.fingerprint,
        config=CONFIG.to_json(),
    )  # fmt: skip
    rows = [(video, result) for result in results]
    whole = WholeVideo(video=video, num_shards=1, results=results)
    finished = finish_videos([whole], config=CONFIG, provenance=made_by)
    writer = pi.Writer(where)
    writer.write_windows(windows_table(rows, made_by))
    writer.finish_videos(finished.videos, utterances=finished.utterances)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """An index to copy."""
    folder = tmp_path_factory.mktemp("written") / "index"
    write(folder)
    return folder


@pytest.fixture
def index(written, tmp_path):
    shutil.copytree(written, tmp_path / "index")
    return pi.open(tmp_path / "index")


def derived_again(index):
    replace(index.store, "utterances", TABLES["utterances"].empty_table(), "true")
    repair(index.store, derive)
    return told(pi.open(index.store.root))


def test_what_the_windows_hold_tells_again_who_speaks(index):
    assert told(index) == ALL
    [row, *_] = index.utterances(speaker="Mary").to_pylist()
    assert row["speaker_confidence"] > 0.9
    assert derived_again(index) == ALL


@pytest.mark.parametrize("gone", ["speaker 1", "Mary"])
def test_the_others_keep_their_words_and_numbers_also_when_derived_again(index, gone):
    receipt = erase(index.store, Scope.parse(video="v", speaker=gone))
    kept = [row for row in ALL if row[2] != gone]
    assert receipt["rows"]["windows"] == 3
    index = pi.open(index.store.root)
    assert told(index) == kept
    before = index.utterances().to_pylist()
    assert derived_again(index) == kept
    after = pi.open(index.store.root).utterances().to_pylist()
    assert [row["words"] for row in after] == [row["words"] for row in before]
    apply_orders(index)  # the order stands for ever, and must take nothing of the others
    assert told(pi.open(index.store.root)) == kept
    assert check(index.store) == []


def test_neither_words_nor_voices_are_left_in_any_byte(index, tmp_path):
    vector = index.select_all("windows", Where()).to_pylist()[0]["voices"][0]["vector"]
    assert vector in everything_stored(tmp_path)
    erase(index.store, Scope.parse(video="v", speaker="speaker 1"))
    vacuum(index.store, retention=timedelta(0))
    stored = everything_stored(tmp_path)
    assert "secret" not in stored
    assert vector not in stored
    assert "fine by me" in stored


def test_a_number_is_erased_in_a_named_video_alone(index):
    with pytest.raises(ConfigError, match="somebody else in each video"):
        Scope.parse(camera="cam", speaker=["Mary", "speaker 1"])
    assert told(index) == ALL


def test_killed_at_any_commit_the_next_command_completes_it(written, tmp_path):
    kept = [row for row in ALL if row[2] != "speaker 1"]
    for number in range(1, 9):
        shutil.copytree(written, tmp_path / str(number))
        index = pi.open(tmp_path / str(number))
        with suppress(KilledError), at_write(number, kill, before=True):
            erase(index.store, Scope.parse(video="v", speaker="speaker 1"))
            break
        if number > 1:  # from its first commit on the order stands
            apply_orders(pi.open(index.store.root))
            assert told(pi.open(index.store.root)) == kept
            assert derived_again(index) == kept
    assert number > 4
