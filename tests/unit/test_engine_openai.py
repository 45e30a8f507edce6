"""A real HTTP server that fails on purpose: what is tried again, what is given up, what is told."""

import asyncio
import base64
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.config import Config
from pipeline.config.task import Task
from pipeline.engine import open_model
from pipeline.engine.ask import halves
from pipeline.engine.openai import OpenAIEngineConfig
from pipeline.engine.openai.windows import OpenAIEngine
from pipeline.engine.prompt import told
from pipeline.errors import EngineStartError, WindowError
from pipeline.records import Sighting, Window, WindowPlan
from pipeline.timebase import NS_PER_MS, TimeRange
from tests.endpoint import DROPPED
from tests.made import a_video

KEY = "sk-secret-0123456789"
TASK = Task(name="gate", labels={"enter": "comes in"}, system="Be brief.", prompt="Report.")
GOOD = '{"events": [{"label": "enter", "start": 0.5, "end": 1.5}], "summary": "one"}'


def make_config(endpoint, **changes) -> OpenAIEngineConfig:
    settings = {"kind": "openai", "model": "m", "base_url": endpoint.url, "max_retries": 2}
    return OpenAIEngineConfig.model_validate(settings | changes)


def make_window(*frame_ms, start_ms=0) -> Window:
    pts = np.array(frame_ms, dtype=np.int64)
    rng = np.random.default_rng(0)
    return Window(
        plan=WindowPlan(
            window_id=f"w{start_ms}",
            span=TimeRange(start_ms * NS_PER_MS, (frame_ms[-1] + 500) * NS_PER_MS),
            frame_pts=tuple(frame_ms),
        ),
        shard_id="s",
        video=a_video(),
        frame_pts=pts,
        frame_ns=pts * NS_PER_MS,
        luma=np.zeros((len(pts), 9, 16), np.uint8),
        rgb=rng.integers(0, 255, (len(pts), 32, 64, 3), dtype=np.uint8),
    )


WINDOW = make_window(20_000, 20_500, 21_250, start_ms=20_000)


def ask(config, *windows, task=TASK):
    async def all_at_once():
        engine = OpenAIEngine(config, task=task)
        return await asyncio.gather(*map(engine.answer, windows), return_exceptions=True)

    return asyncio.run(all_at_once())


def sighting(ms, label, *box):
    return Sighting(at_ns=ms * NS_PER_MS, label=label, box=box)


def test_what_a_detector_saw_stands_largest_first_before_the_question_and_in_the_receipt(serve):
    endpoint = serve((200, GOOD))
    size = WINDOW.video.upright_size
    seen = (
        sighting(20_000, "person", 0.0, 0.0, size[0] / 2, size[1]),
        sighting(20_000, "car", -3.0, size[1] / 4, size[0] * 2, size[1] / 2),
        sighting(21_250, "person", size[0] * 0.1234, 0.0, size[0] * 0.2, size[1] / 3),
    )
    (answer,) = ask(make_config(endpoint), replace(WINDOW, sightings=seen))
    (_, body), *_ = endpoint.requests
    text = body["messages"][1]["content"][-1]["text"]
    assert text == f"{answer.told}\n\nReport."
    assert answer.told.splitlines()[1:] == [
        "0.0 s: car [0, 250, 1000, 500]; person [0, 0, 500, 1000]",
        "1.2 s: person [123, 0, 200, 333]",
    ]
    assert [part["text"] for part in body["messages"][1]["content"][:-1:2]] == [*answer.markers]


def test_half_a_window_is_told_only_what_was_seen_in_it_in_its_own_time():
    window = make_window(*range(20_000, 28_000, 1000), start_ms=20_000)
    at_ms = (20_000, 23_000, 25_000)
    seen = tuple(sighting(ms, "person", 0.0, 0.0, ms / 1000, 9.0) for ms in at_ms)
    first, second = map(told, halves(replace(window, sightings=seen)))
    assert [line.partition(" s:")[0] for line in first.splitlines()[1:]] == ["0.0", "3.0"]
    assert [line.partition(" s:")[0] for line in second.splitlines()[1:]] == ["1.0"]


def test_of_very_much_the_largest_boxes_are_told_in_the_order_of_time():
    window = make_window(20_000, 20_500, start_ms=20_000)
    small = [sighting(20_000, "bird", 0.0, 0.0, 1.0, 1.0)] * 100
    large = [sighting(20_500, "person", 0.0, 0.0, 9.0, 9.0)] * 63
    lines = told(replace(window, sightings=(*small, *large))).splitlines()
    assert [(line.count("bird"), line.count("person")) for line in lines[1:]] == [(1, 0), (0, 63)]


def test_each_frame_goes_after_its_own_time_and_before_the_question(serve):
    endpoint = serve((200, GOOD))
    (answer,) = ask(make_config(endpoint), WINDOW)
    assert answer.text == GOOD
    assert answer.error == ""
    assert answer.markers == ("<0.0 seconds>", "<0.5 seconds>", "<1.2 seconds>")
    assert (answer.num_prompt_tokens, answer.num_output_tokens) == (100, 10)
    (_, body), *_ = endpoint.requests
    system, user = body["messages"]
    assert system["role"] == "system"
    kinds = [part["type"] for part in user["content"]]
    assert kinds == ["text", "image_url"] * 3 + ["text"]
    assert [part["text"] for part in user["content"][:-1:2]] == list(answer.markers)
    assert user["content"][-1]["text"] == "Report."
    shown = user["content"][3]["image_url"]["url"].removeprefix("data:image/jpeg;base64,")
    from PIL import Image

    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown))), np.int16)
    assert np.abs(picture - WINDOW.rgb[1]).mean() < 12
    assert body["temperature"] == 0


def test_a_strict_schema_has_only_what_openais_own_servers_take_as_strict(serve):
    def refuses(body):
        asked = body["response_format"]["json_schema"]
        events = asked["schema"]["properties"]["events"]
        event = events["items"]
        is_taken = "Length" not in json.dumps(asked) and event["required"] == list(
            event["properties"]
        )
        if asked["strict"] and not is_taken:
            return 400, "Invalid schema for response_format: not permitted"
        return GOOD

    endpoint = serve((200, refuses))
    (answer,) = ask(make_config(endpoint), WINDOW)
    assert answer.error == ""
    asked = endpoint.requests[0][1]["response_format"]["json_schema"]
    assert asked["strict"]
    assert asked["schema"]["properties"]["events"]["maxItems"] == TASK.max_events
    # A key that may be left out cannot be strict; then every bound is told.
    task = Task(**TASK.model_dump() | {"fields": {"text": {"required": False}}})
    (answer,) = ask(make_config(endpoint), WINDOW, task=task)
    assert answer.error == ""
    asked = endpoint.requests[1][1]["response_format"]["json_schema"]
    assert (asked["strict"], asked["schema"]) == (False, task.json_schema())


def test_the_times_in_an_answer_are_the_frames_own(serve):
    from pipeline.engine.parse import parse_completion

    (answer,) = ask(make_config(serve((200, GOOD))), WINDOW)
    (one,), _ = parse_completion(
        answer.text, answer.finish_reason, WINDOW.plan, TASK, WINDOW.video, markers=answer.markers
    )
    assert (one.span.start_ns, one.span.end_ns) == (20_500 * NS_PER_MS, 21_500 * NS_PER_MS)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_failure_is_tried_again(serve, status):
    endpoint = serve((status, "busy"), (status, "busy"), (200, GOOD))
    (answer,) = ask(make_config(endpoint), WINDOW)
    assert answer.text == GOOD
    assert len(endpoint.requests) == 3


def test_a_lasting_failure_fails_its_window_without_the_key_in_the_error(serve, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    endpoint = serve((500, "out of memory"))
    config = make_config(endpoint, max_retries=1, api_key_env="MY_KEY")
    (failed,) = ask(config, WINDOW)
    assert isinstance(failed, WindowError)
    assert "tried 2 times" in str(failed)
    assert "out of memory" in str(failed)
    assert len(endpoint.requests) == 2
    assert endpoint.requests[0][0]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in str(failed)
    assert KEY not in Config(engine=config).to_json()


def test_an_endpoint_that_breaks_off_fails_its_window_and_not_the_run(serve):
    endpoint = serve((DROPPED, ""), (DROPPED, ""), (200, GOOD))
    failed, answer = ask(make_config(endpoint, max_retries=1, max_concurrency=1), WINDOW, WINDOW)
    assert isinstance(failed, WindowError)
    assert "broke off, tried 2 times" in str(failed)
    assert answer.text == GOOD


def test_an_endpoint_that_never_answers_fails_its_window(serve):
    endpoint = serve((200, GOOD), delay_s=1.0)
    (failed,) = ask(make_config(endpoint, timeout_s=0.2, max_retries=1), WINDOW)
    assert isinstance(failed, WindowError)
    assert "no answer in 0.2 s" in str(failed)
    assert len(endpoint.requests) == 2


def test_a_request_that_the_endpoint_refuses_is_not_tried_again(serve):
    endpoint = serve((400, "too many images"))
    (failed,) = ask(make_config(endpoint), WINDOW)
    assert isinstance(failed, WindowError)
    assert "refused the request" in str(failed)
    assert "too many images" in str(failed)
    assert len(endpoint.requests) == 1


def test_a_broken_answer_is_asked_for_again_with_the_reason(serve):
    endpoint = serve((200, "I cannot"), (200, GOOD))
    (answer,) = ask(make_config(endpoint), WINDOW)
    assert (answer.text, answer.num_prompt_tokens) == (GOOD, 200)
    assert "not JSON" in endpoint.requests[1][1]["messages"][-1]["content"][-1]["text"]


def test_a_wrong_key_a_wrong_model_or_no_endpoint_stops_the_run_not_a_window(serve, monkeypatch):
    with pytest.raises(EngineStartError, match="serves m; name one"):
        ask(make_config(serve((200, GOOD)), model="other"))
    with pytest.raises(EngineStartError, match="ABSENT_KEY: this variable is not set"):
        ask(make_config(serve((200, GOOD)), api_key_env="ABSENT_KEY"))
    monkeypatch.setenv("MY_KEY", KEY)
    (refused,) = ask(make_config(serve((401, "bad key")), api_key_env="MY_KEY"), WINDOW)
    assert isinstance(refused, EngineStartError)
    assert KEY not in str(refused)
    gone = serve((200, GOOD))
    gone.stop()
    with pytest.raises(EngineStartError, match="base_url"):
        open_model(Config(engine=make_config(gone, max_retries=0), task=TASK))


def test_never_more_requests_at_once_than_allowed_nor_sooner(serve):
    endpoint = serve((200, GOOD), delay_s=0.05)
    windows = [WINDOW] * 6
    config = make_config(endpoint, max_concurrency=2)
    assert len(ask(config, *windows)) == 6
    assert endpoint.most_at_once == 2
    paced = serve((429, "slow down"), (200, GOOD))
    ask(make_config(paced, max_requests_per_minute=300), *windows[:4])
    # The repeated request waits for its turn, too: four times 0.2 s, less what the first was late.
    assert len(paced.at_s) == 5
    assert paced.at_s[-1] - paced.at_s[0] > 0.6


def test_request_fields_can_be_added_changed_and_left_out(serve):
    endpoint = serve((200, GOOD))
    args = {"temperature": None, "reasoning_effort": "low", "seed": 7}
    ask(make_config(endpoint, args=args), WINDOW)
    body = endpoint.requests[0][1]
    assert "temperature" not in body
    assert (body["reasoning_effort"], body["seed"]) == ("low", 7)


def test_where_and_how_fast_an_endpoint_is_asked_is_no_part_of_the_answer(serve):
    one = make_config(serve((200, GOOD)))
    other = one.model_copy(
        update={"base_url": "https://other/v1", "max_retries": 9, "api_key_env": "K"}
    )
    same, changed = Config(engine=other), Config(engine=one.model_copy(update={"model": "n"}))
    assert Config(engine=one).fingerprint == same.fingerprint != changed.fingerprint


def test_a_proxy_of_the_environment_is_used_unless_the_host_is_excepted(serve, monkeypatch):
    proxy = serve((200, GOOD))
    monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
    far = make_config(proxy, base_url="http://far.invalid/v1", max_retries=0)
    (answer,) = ask(far, WINDOW)
    assert answer.text == GOOD
    monkeypatch.setenv("no_proxy", "far.invalid")
    with pytest.raises(EngineStartError, match="cannot be reached"):
        ask(far, WINDOW)


def test_a_key_goes_as_it_is_also_where_a_netrc_knows_the_host(serve, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("MY_KEY", KEY)
    endpoint = serve((200, GOOD))
    ask(make_config(endpoint, api_key_env="MY_KEY"), WINDOW)
    assert endpoint.requests[0][0]["Authorization"] == f"Bearer {KEY}"
