"""A real network tells real voices apart; words are those of a real Whisper."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import load_config
from pipeline.doctor.examine import examine
from pipeline.engine import open_speech
from pipeline.errors import EngineStartError
from pipeline.flow.driver.finish import finish_videos
from pipeline.flow.driver.ledger import WholeVideo
from pipeline.flow.task.enrol import open_voices
from pipeline.flow.task.listen import listen, plan_source
from pipeline.tables.shared import Provenance
from tests.sounds import RATE_HZ, beeps, make_sound
from tests.speech import voice_weights
from tests.speech.test_whisper import JFK, PAUSES_S, jfk_wave, weights
from tests.videos import source_of

pytestmark = pytest.mark.speech

HIGHER = 1.3
"""Played so much faster a voice is that of somebody else; Whisper still understands it."""
MADE_BY = Provenance(task="speech", model="", prompt_id="", fingerprint="", config="")


def voices():
    kept = os.environ.get("TIMEREEL_VOICES")
    return voice_weights.fetch(Path(kept) if kept else Path.home() / ".cache/timereel/ge2e.onnx")


def configured(*overrides):
    given = f"weights: {voices()}, input: samples, same: 0.7"
    engine = f"speech={{kind: whisper, language: en, weights: {weights()}}}"
    return load_config(None, (engine, f"speech.voices={{{given}}}", *overrides)).listening


@pytest.fixture(scope="module")
def dialogue(tmp_path_factory):
    """Three phrases of one speaker, with two of another one before the last."""
    wave = jfk_wave()
    low, high = (round(at_s * RATE_HZ) for at_s in PAUSES_S)
    first, second, third = wave[:low], wave[low:high], wave[high:]
    said = [first, second, higher(second), higher(third), third]
    path = tmp_path_factory.mktemp("dialogue") / "dialogue.flac"
    return make_sound(path, [(np.concatenate(said), 0.0)], codec="flac")


def higher(wave):
    at = np.arange(0, len(wave) - 1, HIGHER)
    return np.interp(at, np.arange(len(wave)), wave).astype(np.float32)


def told(path, config):
    """Speaker, confidence and last word of each utterance."""
    planned = plan_source(source_of(path), config)
    engine, network = open_speech(config), open_voices(config)
    results = [one for shard in planned.shards for one in listen(shard, config, engine, network)]
    whole = WholeVideo(video=planned.video, num_shards=1, results=tuple(results))
    rows = finish_videos([whole], config=config, provenance=MADE_BY).utterances.to_pylist()
    return [
        (row["speaker"], row["speaker_confidence"], re.sub(r"\W", "", row["text"].split()[-1]))
        for row in rows
    ]


def speakers_in_turn(rows):
    names = [who for who, *_ in rows]
    return [who for number, who in enumerate(names) if number == 0 or who != names[number - 1]]


def test_two_speakers_on_one_track_are_told_apart_and_each_phrase_is_of_one(dialogue):
    rows = told(dialogue, configured())
    assert speakers_in_turn(rows) == ["speaker 1", "speaker 2", "speaker 1"]
    assert min(confidence for _, confidence, _ in rows) > 0.6
    assert [last for who, _, last in rows if who == "speaker 2"][-1] == "country"


def test_a_speaker_of_whom_there_is_a_sample_has_a_name(dialogue):
    config = configured(f"speech.voices.speakers={{Kennedy: {JFK}}}")
    assert speakers_in_turn(told(dialogue, config)) == ["Kennedy", "speaker 1", "Kennedy"]


def test_one_speaker_is_one():
    [one] = speakers_in_turn(told(JFK, configured()))
    assert one == "speaker 1"


def test_who_has_a_track_is_called_by_it_and_no_voice_is_kept(tmp_path):
    wave = jfk_wave()
    tracks = [(wave, 0.0), (higher(wave), 0.0)]
    path = make_sound(tmp_path / "two.mp4", tracks, codec="aac", titles=("Ada", "Grace"))
    rows = told(path, configured())
    assert {(who, confidence) for who, confidence, _ in rows} == {("Ada", None), ("Grace", None)}


def test_a_sample_in_which_nobody_speaks_and_one_that_is_not_there_are_refused(tmp_path):
    beeping = make_sound(tmp_path / "beeps.flac", [(beeps([1.0], 3.0), 0.0)], codec="flac")
    with pytest.raises(EngineStartError, match=r"Ada: nobody speaks in .*beeps\.flac"):
        open_voices(configured(f"speech.voices.speakers={{Ada: {beeping}}}"))
    with pytest.raises(EngineStartError, match=r"speakers\.Ada: .*absent\.flac"):
        open_voices(configured(f"speech.voices.speakers={{Ada: {tmp_path / 'absent.flac'}}}"))


def test_the_doctor_opens_the_network():
    found = {check.name: check for check in examine(configured("speech.voices.mels=40"))}["speech"]
    assert (found.verdict, "voices: ge2e.onnx" in found.detail) == ("ok", True), found.detail
    wrong = configured("speech.voices.input=fbank")
    found = {check.name: check for check in examine(wrong)}["speech"]
    assert found.verdict == "FAIL"
    assert "set speech.voices.input" in found.detail
