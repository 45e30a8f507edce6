"""Whatever an endpoint answers costs one window, with its own words."""

import asyncio
import gzip
import itertools
import json
import time

import pytest

from pipeline.engine import open_model
from pipeline.engine.endpoint import MAX_ANSWER_BYTES
from pipeline.flow.task.answer import answer_window
from tests.asked_endpoint import CHOICE, CONTENT, GOOD, KEY, LOGPROB, changed, config_of, results_of
from tests.endpoint import DROPPED, RAW, completion, response
from tests.memory import forget_peak, peak_bytes
from tests.unit.test_engine_ask import a_window

DEEP = b'{"choices":' + b"[" * 100_000

UNUSABLE = {
    "html": (b"<html><script>x</script>log in</html>", "not JSON: <html>"),
    "nothing": (b"", "it is empty"),
    "a stream": (b'data: {"id": 1}\n\ndata: [DONE]\n\n', "not JSON: data: "),
    "a list": ([], "another shape"),
    "a text": ("hello", "another shape"),
    "null": (None, "another shape"),
    "a number of 5,000 digits": (b'{"choices": ' + b"9" * 5000 + b"}", "not JSON"),
    "100,000 brackets": (DEEP, "not JSON"),
    "cut off": (json.dumps(completion(GOOD)).encode()[:-20], "not JSON"),
    "no text at all": (b"\xff\xfe\xfa", "not JSON"),
    "no choices": ({"hello": 1}, "choices: Field required"),
    "choices are a number": ({"choices": 5}, "another shape"),
    "choices are texts": ({"choices": ["a"]}, "another shape"),
    "an empty list of choices": ({"choices": []}, "gave no answer"),
    "choice is null": (changed(*CHOICE, to=None), "another shape"),
    "message is null": (changed(*CHOICE, "message", to=None), "gave no answer"),
    "content is an object": (changed(*CONTENT, to={"a": 1}), "another shape"),
    "content is a number": (changed(*CONTENT, to=7), "another shape"),
    "two million empty choices": (b'{"choices":[' + b"[]," * 2_000_000 + b"[]]}", "another shape"),
    "provider's error": (
        {"choices": None, "error": {"message": "no GPU is free", "code": 400}},
        "HTTP 400: no GPU is free",
    ),
}


@pytest.mark.parametrize("attack", UNUSABLE)
def test_a_body_that_is_no_answer_is_one_failed_window_with_its_words(asked, attack):
    body, words = UNUSABLE[attack]
    [result], endpoint = asked((RAW, response(body)))
    assert result.status == "failed"
    assert words in result.error
    assert len(result.error) < 700
    assert len(endpoint.requests) == 1


READ = {
    "content in parts": changed(*CONTENT, to=[{"type": "text", "text": GOOD}]),
    "no usage": changed("usage", to=None),
    "usage is a text": changed("usage", to="many"),
    "usage without counts": changed("usage", to={"total_tokens": 5}),
    "absurd counts": changed("usage", to={"prompt_tokens": 10**30, "completion_tokens": -5}),
    "counts are fractions": changed("usage", to={"prompt_tokens": 1.5, "completion_tokens": "x"}),
    "logprobs are a text": changed(*CHOICE, "logprobs", to="all"),
    "log probability is null": changed(*LOGPROB, "logprob", to=None),
    "log probability of 800": changed(*LOGPROB, "logprob", to=800.0),
    "log probability is NaN": changed(*LOGPROB, "logprob", to=float("nan")),
    "a byte of 999": changed(*LOGPROB, "bytes", to=[999, -1]),
    "a token with half a character": changed(*LOGPROB, "token", to="\ud83d"),
    "finish reason is a list": changed(*CHOICE, "finish_reason", to=["stop"]),
}


@pytest.mark.parametrize("oddity", READ)
def test_what_only_describes_an_answer_is_left_out_where_it_makes_no_sense(asked, oddity):
    [result], _ = asked((RAW, response(READ[oddity])))
    assert (result.status, result.text, result.error) == ("analysed", GOOD, "")
    assert result.num_prompt_tokens in {0, 100}
    assert result.num_output_tokens in {0, 10}
    assert all(0 <= confidence <= 1 for confidence in result.confidences)


def test_half_a_character_in_an_answer_is_replaced_before_it_becomes_a_row(asked):
    [result], _ = asked((RAW, response(changed(*CONTENT, to="smile \ud83d"))))
    assert (result.status, result.text) == ("failed", "smile \ufffd")


def test_control_characters_of_an_endpoint_reach_no_error(asked):
    words = "\x1b[2J\x9b31mbad\x07\u202e\x00 key \ud800" + "x" * 5000
    [result], _ = asked((RAW, response({"error": {"message": words}}, status=400)))
    assert "HTTP 400: [2J 31mbad  key \ufffdxxx" in result.error
    assert len(result.error) < 500


WRAPPED = {
    f"<think>\nnobody {{comes}}\n</think>\n\n{GOOD}": "stop, <think> taken off",
    f"nobody comes</think>{GOOD}": "stop, <think> taken off",
    f"```json\n{GOOD}\n```": "stop, code fence taken off",
    f"<think></think>\n```\n{GOOD}\n```\n": "stop, <think> and code fence taken off",
}


@pytest.mark.parametrize("text", WRAPPED)
def test_a_thought_and_a_fence_around_one_value_are_taken_off_and_the_row_says_so(asked, text):
    body = changed(*CONTENT, to=text)
    body["choices"][0]["logprobs"]["content"][0]["token"] = text
    [result], endpoint = asked((RAW, response(body)))
    assert (result.status, result.text) == ("analysed", GOOD)
    assert result.finish_reason == WRAPPED[text]
    assert len(result.confidences) == len(endpoint.requests) == 1


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{GOOD}\n```\nAnd also:\n```json\n{GOOD}\n```",
        f"Here you are: {GOOD}",
        "<think>no end",
        "<think></think>",
    ],
)
def test_what_is_not_one_value_in_a_fence_stays_as_it_is_and_is_refused(asked, text):
    [result], endpoint = asked((200, text))
    assert (result.status, result.text, result.finish_reason) == ("failed", text, "stop")
    assert "not JSON" in result.error
    assert len(endpoint.requests) == 2


def test_an_answer_that_lies_in_the_reasoning_is_told(asked):
    message = {"role": "assistant", "content": None, "reasoning_content": GOOD}
    [result], endpoint = asked((RAW, response(changed(*CHOICE, "message", to=message))))
    assert "the answer is empty, and reasoning_content holds" in result.error
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("code", [429, 502, "503"])
def test_an_error_inside_a_good_status_is_tried_again_if_its_code_says_so(asked, code):
    failed = {"choices": None, "error": {"message": "upstream is busy", "code": code}}
    [result], endpoint = asked((RAW, response(failed)), (200, GOOD), max_retries=1)
    assert result.status == "analysed"
    assert len(endpoint.requests) == 2


TOO_LARGE = {
    413: "request entity too large",
    400: "At most 8 image(s) may be provided in one prompt.",
    422: "This model's maximum context length is 4096 tokens",
}


@pytest.mark.parametrize("status", TOO_LARGE)
def test_a_window_that_is_too_large_is_halved_until_it_is_taken(asked, status):
    def answer(body):
        num_pictures = sum(part["type"] == "image_url" for part in body["messages"][-1]["content"])
        return (status, TOO_LARGE[status]) if num_pictures > 8 else GOOD

    results, endpoint = asked((200, answer), num_frames=32)
    assert [result.status for result in results] == ["analysed"] * 4
    assert len(endpoint.requests) == 7
    refused, _ = asked((status, TOO_LARGE[status]), num_frames=16)
    assert [result.status for result in refused] == ["failed"] * 4
    assert all(TOO_LARGE[status] in result.error for result in refused)


@pytest.mark.parametrize("status", [204, 304, 401, 403, 404, 418, 500, 599, 999])
def test_once_an_endpoint_has_answered_any_status_is_one_failed_window(serve, monkeypatch, status):
    monkeypatch.setenv("THE_KEY", KEY)
    endpoint = serve((200, GOOD), (RAW, response(b"", status=status)), (200, GOOD))
    config = config_of(endpoint)

    async def three():
        engine = open_model(config)
        return [await answer_window(a_window(4), engine, config) for _ in range(3)]

    statuses = [one.status for results in asyncio.run(three()) for one in results]
    assert statuses == ["analysed", "failed", "analysed"]


def drip():
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    while True:
        time.sleep(0.05)
        yield b"1\r\n \r\n"


def drip_headers():
    yield b"HTTP/1.1 200 OK\r\n"
    for number in itertools.count():
        time.sleep(0.05)
        yield f"X-{number}: a\r\n".encode()


def silence():
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    time.sleep(3)


@pytest.mark.parametrize("slow", [drip, drip_headers, silence])
def test_the_time_limit_is_that_of_the_whole_request(asked, slow):
    [result], _ = asked((RAW, slow), timeout_s=0.5)
    assert "no answer in 0.5 s" in result.error


def endless():
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"100000\r\n" + b" " * 2**20 + b"\r\n"


LARGE = {
    "200 MB of text": lambda: response(completion("x" * 200_000_000)),
    "endless": endless,
    "an endless header": lambda: itertools.chain(
        [b"HTTP/1.1 200 OK\r\nX: "], itertools.repeat(b"x")
    ),
    "a large refusal": lambda: response(b"x" * (MAX_ANSWER_BYTES + 1), status=400),
    "a compressed 200 MB": lambda: response(
        gzip.compress(gzip.compress(b" " * 200_000_000, 1)), headers=["Content-Encoding: gzip"]
    ),
    "a text of 2 million characters": lambda: response(completion("x" * 2_000_000)),
}


@pytest.mark.parametrize("name", LARGE)
def test_of_a_large_body_no_more_is_held_than_allowed(asked, name):
    made = LARGE[name]()
    forget_peak()
    before = peak_bytes()
    [result], _ = asked((RAW, (lambda: made) if not isinstance(made, bytes) else made))
    grown_bytes = peak_bytes() - before
    assert result.status == "failed"
    assert result.text == ""
    assert grown_bytes < 100_000_000


def test_a_body_just_within_the_limit_is_read(asked):
    raw = json.dumps(completion(GOOD)).encode()
    [result], _ = asked((RAW, response(raw + b" " * (MAX_ANSWER_BYTES - len(raw)))))
    assert result.status == "analysed"
    [result], _ = asked((RAW, response(raw + b" " * (MAX_ANSWER_BYTES + 1 - len(raw)))))
    assert "more than 8,388,608 bytes" in result.error


BROKEN = {
    "no answer": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "half a header": b"HTTP/1.1 200 OK\r\nContent-",
    "fewer bytes than told": response(completion(GOOD), length=10_000),
    "bad chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "two lengths": response(b"{}", headers=["Content-Length: 7"]),
    "a header of one megabyte": response(b"{}", headers=["X: " + "x" * 2**20]),
    "a status that is none": b"HTTP/1.1 OK 200\r\n\r\n",
    "the key in a broken header": f"HTTP/1.1 200 OK\r\nBearer {KEY}\r\n\r\n".encode(),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_answer_that_breaks_http_is_one_failed_window(asked, name):
    [result], _ = asked((RAW, BROKEN[name]), timeout_s=2)
    assert result.status == "failed"
    assert "the endpoint broke off" in result.error


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("location", "server"),
    [
        ("http://127.0.0.2:{other}/v1", "http://127.0.0.2:{other}"),
        ("//user:word@127.0.0.2:{other}/", "http://127.0.0.2:{other}"),
        ("https://127.0.0.1:{own}/v1", "https://127.0.0.1:{own}"),
        ("/v2", "http://127.0.0.1:{own}"),
        ("http://[", "an address that is none"),
    ],
)
def test_frames_follow_no_redirect(serve, monkeypatch, status, location, server):
    monkeypatch.setenv("THE_KEY", KEY)
    endpoint, other = serve((200, GOOD)), serve((200, GOOD))
    ports = {"own": endpoint.server.server_port, "other": other.server.server_port}
    headers = [f"Location: {location.format(**ports)}"]
    endpoint.script = [(RAW, response(b"", status=status, headers=headers))]
    [result] = results_of(endpoint)
    assert f"redirects to {server.format(**ports)}, which is not followed" in result.error
    assert other.requests == []
    assert len(endpoint.requests) == 1


def test_an_endpoint_that_drops_the_connection_is_tried_as_often_as_told(asked):
    [result], endpoint = asked((DROPPED, ""), max_retries=1)
    assert "broke off, tried 2 times" in result.error
    assert len(endpoint.requests) == 2
