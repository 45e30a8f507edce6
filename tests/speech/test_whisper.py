"""A real Whisper hears each word of a speech at its time, and nothing where nobody speaks."""

import io
import os
import re
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.config import load_config
from pipeline.doctor.examine import examine
from pipeline.doctor.speech_test import CLIP
from pipeline.engine import open_speech
from pipeline.errors import EngineStartError
from pipeline.flow.task.listen import listen, plan_source
from pipeline.flow.task.stages import Planned
from pipeline.speech import utterances_of_video
from pipeline.tables.said import read_said
from tests.endpoint import RAW, Endpoint, response
from tests.sounds import RATE_HZ, make_sound
from tests.speech.weights import fetch
from tests.videos import source_of

pytestmark = pytest.mark.speech

JFK = CLIP
PHRASES = (
    "and so my fellow americans",
    "ask not what your country can do for you",
    "ask what you can do for your country",
)
SAID = " ".join(PHRASES)
STARTS_S = {"and": 0.32, "ask": 3.29}
"""Seconds at which some words begin, by ear and by eye."""
PAUSES_S = (2.8, 7.8)
"""Seconds inside the pauses between the phrases."""


def weights():
    kept = os.environ.get("TIMEREEL_WHISPER")
    return fetch(Path(kept) if kept else Path.home() / ".cache/timereel/whisper-tiny.en")


@pytest.fixture(scope="module")
def heard():
    config = load_config(None, (f"speech={{kind: whisper, weights: {weights()}}}",)).listening
    engine = open_speech(config)
    return lambda path: hear(path, config, engine)


def hear(path, config, engine):
    planned = plan_source(source_of(path), config)
    assert isinstance(planned, Planned), planned
    results = [one for shard in planned.shards for one in listen(shard, config, engine)]
    assert sum(one.span.duration_ns for one in results) == sum(
        one.duration_ns for one in planned.video.footage
    )
    answers = [(one.window_id, read_said(one.text, one.span)) for one in results]
    return results, utterances_of_video(planned.video, answers, task="speech")


def words_of(utterances):
    text = " ".join(one.text for one in utterances).lower()
    return re.sub(r"[^a-z ]", "", text).split()


def test_every_word_of_a_known_speech_is_heard_at_its_time(heard):
    results, utterances = heard(JFK)
    assert words_of(utterances) == SAID.split()
    assert {one.status for one in results} <= {"analysed", "quiet"}
    timed = [word for one in utterances for word in one.words]
    spans = [word.span for word in timed]
    assert spans == sorted(spans)
    for name in ("and", "ask"):
        first = next(word for word in timed if word.text.lower().startswith(name))
        assert first.span.start_ns / 1e9 == pytest.approx(STARTS_S[name], abs=0.15)


@pytest.mark.parametrize(
    ("name", "codec", "titles", "speakers"),
    [
        ("two.mp4", "aac", ("Ada", "Grace"), ("Ada", "Grace")),
        ("three.mkv", "flac", ("Ada", "", "Ada"), ("Ada track 1", "track 2", "Ada track 3")),
    ],
)
def test_each_word_is_that_of_the_speaker_whose_track_it_is_on(
    heard, tmp_path, name, codec, titles, speakers
):
    wave = jfk_wave()
    borders = [0, *(round(at_s * RATE_HZ) for at_s in PAUSES_S), len(wave)]
    tracks = [(np.zeros_like(wave), 0.0) for _ in titles]
    for number, (first, last) in enumerate(pairwise(borders)):
        samples, _ = tracks[min(number, len(tracks) - 1)]
        samples[first:last] = wave[first:last]
    video = make_sound(tmp_path / name, tracks, codec=codec, pictures_s=11.0, titles=titles)
    results, utterances = heard(video)
    assert {one.status for one in results} <= {"analysed", "quiet"}
    last = len(titles) - 1
    whose = [
        (speakers[min(number, last)], phrase.split()[-1]) for number, phrase in enumerate(PHRASES)
    ]
    told = [
        (one.speaker, words_of([one])[-1]) for one in sorted(utterances, key=lambda one: one.span)
    ]
    assert told == whose


def jfk_wave():
    with av.open(str(JFK)) as container:
        blocks = [frame.to_ndarray() for frame in container.decode(audio=0)]
    return np.concatenate(blocks, axis=1)[0].astype(np.float32)


def test_the_same_is_heard_through_an_endpoint_that_transcribes(heard):
    """A real Whisper behind HTTP; it hears a WAV and knows nothing of the recording."""
    from faster_whisper import WhisperModel

    model = WhisperModel(str(weights()), compute_type="int8", cpu_threads=1)

    def transcribe(form):
        segments, _ = model.transcribe(io.BytesIO(dict(form)["file"]), word_timestamps=True)
        said = list(segments)
        words = [
            {"word": word.word, "start": float(word.start), "end": float(word.end)}
            for one in said
            for word in one.words
        ]
        text = "".join(one.text for one in said)
        return RAW, response({"text": text, "language": "en", "words": words})

    endpoint = Endpoint((200, transcribe), models=("whisper-1",))
    config = load_config(
        None, (f"speech={{kind: openai_speech, base_url: '{endpoint.url}', model: whisper-1}}",)
    ).listening
    try:
        _, there = hear(JFK, config, open_speech(config))
    finally:
        endpoint.stop()
    assert words_of(there) == SAID.split()
    _, here = heard(JFK)
    starts = [[word.span.start_ns for one in said for word in one.words] for said in (here, there)]
    assert np.abs(np.subtract(*starts)).max() < 0.1 * 1e9


def test_a_speech_that_begins_late_keeps_its_time_in_another_container(heard, tmp_path):
    wave = jfk_wave()
    late = make_sound(tmp_path / "late.mp4", [(wave, 1.5)], codec="aac", pictures_s=13.0)
    _, there = heard(JFK)
    _, here = heard(late)
    assert words_of(here) == SAID.split()
    moved = (here[0].words[0].span.start_ns - there[0].words[0].span.start_ns) / 1e9
    assert moved == pytest.approx(1.5, abs=0.1)


def test_nobody_is_heard_in_silence_noise_and_music(heard, tmp_path):
    at_s = np.arange(20 * RATE_HZ) / RATE_HZ
    noise = np.random.default_rng(1).normal(0, 0.1, len(at_s))
    chord = sum(np.sin(2 * np.pi * hz * at_s) for hz in (262, 330, 392)) / 10
    wave = np.concatenate([np.zeros(len(at_s)), noise, chord]).astype(np.float32)
    results, utterances = heard(make_sound(tmp_path / "noise.flac", [(wave, 0.0)], codec="flac"))
    assert utterances == []
    assert {one.status for one in results} == {"quiet"}


def test_weights_that_are_not_there_are_not_fetched_unasked(tmp_path):
    config = load_config(None, (f"speech={{kind: whisper, weights: {tmp_path}}}",)).listening
    with pytest.raises(EngineStartError, match=r"no folder with a model\.bin"):
        open_speech(config)


def test_the_doctor_hears_a_known_sentence():
    config = load_config(None, (f"speech={{kind: whisper, weights: {weights()}}}",)).listening
    found = {check.name: check for check in examine(config)}["speech"]
    assert found.verdict == "ok", found.detail
    assert re.search(r"heard 22 of 22 words .* off by 0\.[01]", found.detail)
