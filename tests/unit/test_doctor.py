"""An endpoint that really looks at the pictures and reads their times; then it is broken."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from pipeline.config import Config, FrameConfig, PlanConfig, SampleConfig
from pipeline.doctor.examine import examine
from pipeline.doctor.speech_test import SENTENCE, judged
from pipeline.engine.openai import OpenAIEngineConfig
from pipeline.records import Said, Word
from pipeline.timebase import NS_PER_S, TimeRange
from tests.detectors import make_detector


def shown(body) -> list[tuple[float | None, np.ndarray]]:
    """The request's pictures, each with the time that was written before it."""
    pictures, time_s = [], None
    for part in body["messages"][-1]["content"]:
        if part["type"] == "text":
            told = re.fullmatch(r"<(\d+\.\d) seconds>", part["text"])
            time_s = float(told[1]) if told else None
        else:
            raw = base64.b64decode(part["image_url"]["url"].partition(",")[2])
            pictures.append((time_s, np.asarray(Image.open(io.BytesIO(raw)).convert("L"))))
            time_s = None
    return pictures


def see(body) -> str:
    """When the view was dark; without times it counts pictures, as models do."""
    pictures = shown(body)
    light = [float(picture.mean()) for _, picture in pictures]
    dark = [i for i, one in enumerate(light) if one < max(light) / 2]
    times_s = [i if time_s is None else time_s for i, (time_s, _) in enumerate(pictures)]
    events = [{"label": "light_off", "start": times_s[dark[0]], "end": times_s[dark[-1]]}]
    return json.dumps({"events": events if dark else [], "summary": ""})


def through(change):
    """The same model behind a proxy that changes the parts of a message."""

    def answer(body):
        message = body["messages"][-1]
        return see({"messages": [message | {"content": change(message["content"])}]})

    return answer


def without_times(parts):
    return [part for part in parts if not part.get("text", "").endswith(" seconds>")]


def half_the_pictures(parts):
    return parts[: len(parts) // 4 * 2]


def at_most_32_pictures(parts):
    return parts[:64]


def others_times(parts):
    def later(part):
        told = re.fullmatch(r"<(\d+\.\d) seconds>", part.get("text", ""))
        return part | {"text": f"<{float(told[1]) + 3:.1f} seconds>"} if told else part

    return [later(part) for part in parts]


def other_way_round(parts):
    pictures = iter([part for part in parts if part["type"] == "image_url"][::-1])
    return [next(pictures) if part["type"] == "image_url" else part for part in parts]


def checks(endpoint, *, window_frames=24) -> dict:
    config = Config(
        sample=SampleConfig(fps=2),
        plan=PlanConfig(max_window_frames=window_frames),
        frame=FrameConfig(rgb_max_pixels=160 * 96),
        engine=OpenAIEngineConfig(
            kind="openai", model="m", base_url=endpoint.url, max_retries=0, server="any"
        ),
    )
    return {check.name: check for check in examine(config)}


def test_an_engine_that_tells_the_time_passes(serve):
    found = checks(serve((200, see)))
    assert found["time"].verdict == "ok", found["time"].detail
    assert "6 of 6" in found["time"].detail
    assert "starts off by +0.00 s" in found["time"].detail
    assert found["engine"].verdict == "ok"
    assert "does not tell what it shows" in found["markers"].detail
    assert found["cpus"].verdict == "ok"
    assert "GiB free" in found["disk"].detail


@pytest.mark.parametrize("fault", [without_times, half_the_pictures, others_times, other_way_round])
def test_a_proxy_that_breaks_time_is_found(serve, fault):
    found = checks(serve((200, through(fault))))["time"]
    assert found.verdict == "FAIL", found.detail
    assert "do not index with it" in found.detail


def test_an_endpoint_that_takes_fewer_pictures_than_the_run_sends_is_found(serve):
    endpoint = serve((200, through(at_most_32_pictures)))
    assert checks(endpoint, window_frames=32)["time"].verdict == "ok"
    assert checks(endpoint, window_frames=40)["time"].verdict == "FAIL"


def test_an_endpoint_that_shifts_all_times_is_told_by_how_much(serve):
    assert "+3.00 s in the median" in checks(serve((200, through(others_times))))["time"].detail


def test_an_endpoint_that_fails_or_is_gone_fails_the_test_with_its_reason(serve):
    failing = checks(serve((500, "out of memory")))
    assert failing["time"].verdict == "FAIL"
    assert "out of memory" in failing["time"].detail
    gone = serve((200, see))
    gone.stop()
    found = checks(gone)
    assert found["engine"].verdict == "FAIL"
    assert "time" not in found


def test_the_signals_engine_tells_the_time(cli):
    out = cli.run("doctor")
    assert re.search(r"^ok    time .*6 of 6", out, re.MULTILINE)


def test_a_machine_that_is_not_fit_ends_with_exit_code_3(cli, tmp_path):
    config = tmp_path / "run.yaml"
    config.write_text(
        "engine: {kind: openai, model: m, base_url: 'http://127.0.0.1:9/v1', max_retries: 0}\n"
    )
    found = {
        check["name"]: check for check in cli.json("doctor", "--config", config, "--json", code=3)
    }
    assert found["engine"]["verdict"] == "FAIL"
    assert "not fit for a run: engine" in cli.err


def test_weights_of_what_listens_are_looked_for(tmp_path):
    from pipeline.config import load_config
    from pipeline.doctor.examine import _speech

    captions = load_config(None, ("speech={kind: captions}",)).listening
    assert _speech(captions).verdict == "ok"
    nothing = load_config(None, (f"speech={{kind: whisper, weights: {tmp_path}}}",)).listening
    found = _speech(nothing)
    assert found.verdict == "FAIL"
    assert (
        "install timereel[speech]" in found.detail or "no folder with a model.bin" in found.detail
    )


@pytest.mark.parametrize(
    ("text", "begin_s", "num_words", "is_right"),
    [
        (SENTENCE, 0.0, 22, True),
        (SENTENCE, 0.3, 22, True),
        (SENTENCE, 0.4, 22, False),
        (" ".join(SENTENCE.split()[:18]), 0.0, 18, True),
        (" ".join(SENTENCE.split()[:17]), 0.0, 17, False),
        ("Thank you for watching!", 0.0, 1, False),
    ],
)
def test_what_listens_must_hear_most_words_at_their_times(text, begin_s, num_words, is_right):
    starts_s = [0.32 + 0.01 * number for number in range(5)]
    starts_s += [3.29 + 0.01 * number for number in range(9)]
    starts_s += [8.15 + 0.01 * number for number in range(8)]
    words = [
        Word(span=TimeRange(at_ns, at_ns + 1), text=word)
        for word, at_s in zip(text.split(), starts_s, strict=False)
        for at_ns in [round((at_s + begin_s) * NS_PER_S)]
    ]
    said = Said(span=TimeRange(0, 9 * NS_PER_S), text=text, track=0, words=tuple(words))
    hearing = judged([said])
    assert (hearing.num_words, hearing.is_right) == (num_words, is_right)
    assert ("do not index with it" in hearing.detail) is not is_right


def test_an_engine_that_times_no_words_is_judged_by_its_words_alone():
    hearing = judged([Said(span=TimeRange(0, NS_PER_S), text=SENTENCE, track=0)])
    assert (hearing.off_s, hearing.is_right) == (None, True)
    assert judged([]).num_words == 0


@pytest.mark.parametrize(
    ("label", "verdict", "detail"),
    [("person", "ok", "finds person"), ("ghost", "FAIL", "label ghost: the detector")],
)
def test_the_detector_before_a_model_is_opened_and_asked_for_its_labels(
    tmp_path, label, verdict, detail
):
    model = str(make_detector(tmp_path / "bright"))
    config = Config.model_validate(
        {
            "engine": {"kind": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"},
            "gate": {"kind": "motion", "objects": {"model": model, "labels": [label]}},
        }
    )
    found = next(check for check in examine(config) if check.name == "gate.objects")
    assert found.verdict == verdict
    assert detail in found.detail
