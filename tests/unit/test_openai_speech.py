"""An endpoint that transcribes: its words get media times, and all else it says costs a row."""

import io
import json
import time
import wave
from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import load_config
from pipeline.engine import open_speech
from pipeline.engine.endpoint import MAX_ANSWER_BYTES
from pipeline.engine.endpoint_answers import EndpointError
from pipeline.engine.heard import refuse_haste
from pipeline.engine.transcriptions import read_transcription
from pipeline.errors import EngineStartError, WindowError
from pipeline.records import SoundTrack, Stretch
from pipeline.records.speech import NS_PER_SAMPLE, SOUND_HZ
from pipeline.timebase import NS_PER_S, TimeRange
from tests.endpoint import DROPPED, RAW, Endpoint, response

KEY = "sk-0123456789abcdef"
START_NS = 3600 * NS_PER_S + 5 * NS_PER_SAMPLE
GOOD = {
    "task": "transcribe",
    "language": "en",
    "text": " The price is forty euros. Agreed.",
    "words": [
        {"word": "The", "start": 0.1, "end": 0.7},
        {"word": "price", "start": 0.7, "end": 1.0},
        {"word": "is", "start": 1.0, "end": 1.2},
        {"word": "forty", "start": 1.2, "end": 1.5},
        {"word": "euros.", "start": 1.5, "end": 2.2},
        {"word": "Agreed.", "start": 2.4, "end": 99.0},
    ],
    "segments": [
        {"id": 0, "text": " The price is forty euros.", "start": 0.5, "end": 2.0},
        {"id": 1, "text": " Agreed.", "start": 2.5, "end": 3.5},
    ],
}


def media(start_s, end_s):
    return TimeRange(START_NS + round(start_s * NS_PER_S), START_NS + round(end_s * NS_PER_S))


STRETCH = Stretch(
    track=SoundTrack(number=1, stream_index=2, title="Ada", language="en"),
    start_ns=START_NS,
    samples=np.sin(np.arange(4 * SOUND_HZ) / 9).astype(np.float32) / 3,
    voice=(media(0.5, 2.0), media(2.5, 3.5)),
)


@pytest.fixture
def serve(monkeypatch):
    """Opens an engine in front of a server that answers by a script."""
    monkeypatch.setenv("SPEECH_KEY", KEY)
    running = []

    def start(*script, models=("whisper-1",), **given):
        running.append(Endpoint(*script, models=models))
        settings = {"kind": "openai_speech", "base_url": running[-1].url, "model": "whisper-1"}
        settings |= {"api_key_env": "SPEECH_KEY", "max_retries": 1, "timeout_s": 20.0} | given
        config = load_config(None, (f"speech={json.dumps(settings)}",)).listening
        return open_speech(config), running[-1]

    yield start
    for one in running:
        one.stop()


def says(**changes):
    return RAW, response(GOOD | changes)


def test_the_words_of_an_answer_have_media_times_inside_the_voices(serve):
    engine, endpoint = serve(says())
    [said] = engine.transcribe(STRETCH)
    assert (said.text, said.language, said.track) == (GOOD["text"].strip(), "en", 1)
    assert [word.text for word in said.words] == [one["word"] for one in GOOD["words"]]
    assert said.words[0].span == media(0.5, 0.7)  # it began in the pause
    assert said.words[4].span == media(1.5, 2.0)
    assert said.words[5].span == media(2.5, 3.5)
    assert said.span == media(0.5, 3.5)
    [(headers, form)] = endpoint.requests
    assert headers["Authorization"] == f"Bearer {KEY}"
    fields, (name, wav) = form[:-1], form[-1]
    assert [(field, value.decode()) for field, value in fields] == [
        ("model", "whisper-1"),
        ("response_format", "verbose_json"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
        ("temperature", "0"),
    ]
    with wave.open(io.BytesIO(wav)) as file:
        assert (name, file.getframerate(), file.getnchannels()) == ("file", SOUND_HZ, 1)
        heard = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32_767
    np.testing.assert_allclose(heard, STRETCH.samples, atol=1e-4)


def test_without_times_of_words_a_segment_is_an_utterance_and_else_the_whole_answer(serve):
    engine, _ = serve(says(words=None), says(words=None, segments=None), says(text=" "))
    first, second = engine.transcribe(STRETCH)
    assert (first.text, first.span, first.words) == (
        "The price is forty euros.", media(0.5, 2.0), ()
    )  # fmt: skip
    assert (second.text, second.span) == ("Agreed.", media(2.5, 3.5))
    [whole] = engine.transcribe(STRETCH)
    assert (whole.text, whole.span) == (GOOD["text"].strip(), media(0.5, 3.5))
    assert engine.transcribe(STRETCH) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"words": "x"},
        {"words": [{"word": "a", "start": "later", "end": 1}]},
        {"words": [{"word": 7, "start": 0, "end": 1}]},
        {"words": [{"word": "a", "start": -1, "end": 1}]},
        {"words": [{"word": "a", "start": 0, "end": 1e300}]},
        {"words": [[]] * 100_000},
        {"words": [], "language": ["en"]},
        {"words": [], "language": "english"},
    ],
    ids=str,
)
def test_what_only_describes_an_answer_is_left_out_where_it_makes_no_sense(serve, changes):
    engine, _ = serve(says(**changes))
    first, _ = engine.transcribe(STRETCH)
    assert (first.text, first.words) == ("The price is forty euros.", ())


UNUSABLE = {
    "html": (response(b"<html>log in</html>"), "not JSON: <html>"),
    "nothing": (response(b""), "it is empty"),
    "a list": (response([]), "another shape"),
    "no text": (response({"words": []}), "text: Field required"),
    "a number": (response({"text": 7}), "another shape"),
    "100,000 brackets": (response(b'{"text":' + b"[" * 100_000), "not JSON"),
    "an error": (response({"error": {"message": "no GPU\x1b[2J", "code": 400}}), "400: no GPU"),
    "two million letters": (response({"text": "a b" * 700_000}), "characters"),
    "too many bytes": (response(b" " * (MAX_ANSWER_BYTES + 1)), "was not read on"),
    "the key": (response(GOOD | {"text": KEY}), "holds the key"),
    "packed": (response(b"x", headers=["Content-Encoding: gzip"]), "compressed"),
    "elsewhere": (response(b"", status=302, headers=["Location: http://x.test/"]), "redirects"),
    "a loop": (response({"text": "I don't know. " * 60}), "repeats itself"),
    "haste": (response({"text": " ".join(map(str, range(100, 130)))}), "30 words in 2.5 s"),
}


@pytest.mark.parametrize("attack", UNUSABLE)
def test_an_answer_that_nobody_can_believe_is_one_failed_window(serve, attack):
    body, words = UNUSABLE[attack]
    engine, endpoint = serve((RAW, body), says())
    with pytest.raises(WindowError) as caught:
        engine.transcribe(STRETCH)
    assert words in str(caught.value)
    assert KEY not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(endpoint.requests) == 1
    assert len(engine.transcribe(STRETCH)) == 1  # the next window is asked for


@pytest.mark.parametrize(("num_words", "is_said"), [(20, True), (21, False)])
@pytest.mark.parametrize(("word", "between"), [("価", ""), ("ja", " "), ("don't", " ")])
def test_eight_words_a_second_can_be_said_and_no_more(word, between, num_words, is_said):
    text = between.join([word] * num_words)
    with nullcontext() if is_said else pytest.raises(WindowError, match=r"21 words in 2\.5 s"):
        refuse_haste(text, STRETCH)


@pytest.mark.parametrize("failure", [(503, "busy"), (429, "slowly"), (DROPPED, "")], ids=str)
def test_what_fails_in_passing_is_tried_again_with_the_whole_form(serve, failure):
    engine, endpoint = serve(failure, says())
    assert len(engine.transcribe(STRETCH)) == 1
    (_, first), (_, second) = endpoint.requests
    assert first == second


def test_a_refused_key_and_an_unknown_model_end_the_run_before_it_begins(serve):
    engine, _ = serve((401, "who are you"), says(), (404, "gone"))
    with pytest.raises(EngineStartError, match=r"speech\.base_url=.*HTTP 401"):
        engine.transcribe(STRETCH)
    engine.transcribe(STRETCH)
    with pytest.raises(WindowError, match="404"):  # it has answered before
        engine.transcribe(STRETCH)
    with pytest.raises(EngineStartError, match=r"speech\.model=whisper-1: .* serves tiny"):
        serve(says(), models=("tiny",))


def test_the_time_limit_is_that_of_the_whole_answer(serve):
    def drip():
        while True:
            yield b" "
            time.sleep(0.05)

    engine, _ = serve((RAW, drip), timeout_s=0.5, max_retries=0)
    with pytest.raises(WindowError, match=r"no answer in 0\.5 s|broke off"):
        engine.transcribe(STRETCH)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20) | st.integers(),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=8), inside),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("text", "words", "segments", "language"), json_values),
    )
)
def test_any_json_is_a_transcription_or_an_error_with_words(body):
    try:
        read = read_transcription(json.dumps(body).encode())
    except EndpointError:
        return
    assert all(one.text.strip() for one in (*read.words, *read.segments))
