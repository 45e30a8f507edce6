"""Whatever an endpoint answers costs one window, with its own words; the key is never in them."""

import asyncio
import base64
import gzip
import itertools
import json
import resource
import time
from dataclasses import replace

import numpy as np
import pytest

from pipeline.config import Config, EmbeddingConfig
from pipeline.engine import open_model
from pipeline.engine.embed import Embedder
from pipeline.engine.endpoint import MAX_ANSWER_BYTES
from pipeline.engine.openai import OpenAIEngineConfig
from pipeline.errors import EngineStartError
from pipeline.flow.task.answer import answer_window
from pipeline.tables.rows import Provenance, window_results, windows_table
from tests.endpoint import DROPPED, RAW, Endpoint, completion, response
from tests.made import a_video
from tests.unit.test_engine_ask import TASK, a_window

KEY = "sk-Secret-0123456789"
GOOD = '{"events": [{"label": "enter", "start": 0, "end": 1}], "summary": "one"}'
PROVENANCE = Provenance(task="gate", model="m", prompt_id="p", fingerprint="f", config="")


def config_of(endpoint, **changes) -> Config:
    settings = {
        "kind": "openai",
        "model": "m",
        "base_url": endpoint.url,
        "api_key_env": "THE_KEY",
        "max_retries": 0,
        "timeout_s": 20,
    }
    return Config(task=TASK, engine=OpenAIEngineConfig.model_validate(settings | changes))


@pytest.fixture
def asked(serve, monkeypatch):
    """The row that one window of four frames becomes, asked of such an endpoint."""
    monkeypatch.setenv("THE_KEY", KEY)

    def ask(*script, num_frames=4, **changes):
        endpoint = serve(*script)
        config = config_of(endpoint, **changes)

        async def run():
            return await answer_window(a_window(num_frames), open_model(config), config)

        results = asyncio.run(run())
        table = windows_table([(a_video(), one) for one in results], PROVENANCE)
        assert window_results(table) == [
            replace(one, confidences=tuple(map(float, np.float32(one.confidences))))
            for one in results
        ]
        assert KEY not in json.dumps(table.to_pylist(), default=str)
        return results, endpoint

    return ask


def changed(*path, to):
    """A good answer with one value of it changed."""
    body = completion(GOOD)
    body["choices"][0]["logprobs"] = {"content": [{"token": GOOD, "logprob": -0.1, "bytes": None}]}
    node = body
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = to
    return body


CHOICE = ("choices", 0)
CONTENT = (*CHOICE, "message", "content")
LOGPROB = (*CHOICE, "logprobs", "content", 0)
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
    began_s = time.monotonic()
    [result], _ = asked((RAW, slow), timeout_s=0.5)
    assert "no answer in 0.5 s" in result.error
    assert time.monotonic() - began_s < 3


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
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    [result], _ = asked((RAW, (lambda: made) if not isinstance(made, bytes) else made))
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
    assert result.status == "failed"
    assert result.text == ""
    assert grown_mib < 100


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
    "where", ["http://127.0.0.2:{port}/v1", "//127.0.0.2:{port}/", "/v2", "a["]
)
def test_frames_follow_no_redirect(asked, serve, status, where):
    other = serve((200, GOOD))
    location = where.format(port=other.server.server_port)
    [result], endpoint = asked(
        (RAW, response(b"", status=status, headers=[f"Location: {location}"]))
    )
    host = "127.0.0.2" if "127.0.0.2" in where else "127.0.0.1" if where == "/v2" else ""
    assert f"redirects to {host}" in result.error
    assert other.requests == []
    assert len(endpoint.requests) == 1


BEARER = f"Bearer {KEY}"
FORMS = {
    "as it is": KEY,
    "in capitals": KEY.upper(),
    "base64": base64.b64encode(BEARER.encode()).decode(),
    "base64 one further": base64.b64encode(b"x" + BEARER.encode()).decode(),
    "base64 two further": base64.urlsafe_b64encode(b"xy" + BEARER.encode() + b"z").decode(),
    "hexadecimal": BEARER.encode().hex(),
    "percent": "".join(f"%{byte:02x}" for byte in BEARER.encode()),
    "some percent": KEY.replace("-", "%2D"),
    "escaped": "".join(f"\\u{byte:04x}" for byte in BEARER.encode()),
    "escaped otherwise": "".join(f"\\x{byte:02x}" for byte in BEARER.encode()),
    "entities": "".join(f"&#{byte};" for byte in BEARER.encode()),
    "spelt out": "-".join(BEARER),
    "line by line": "\n".join(KEY),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_key_is_kept_in_no_form_that_a_server_may_echo(asked, form):
    echo = FORMS[form]
    told = {"error": {"message": f"no such key: {echo}!"}}
    for body in (told, f"<html>{echo}</html>".encode()):
        [result], _ = asked((RAW, response(body, status=400)))
        assert "HTTP 400" in result.error
        assert echo not in result.error
    for text in (f"your key is {echo}", json.dumps({"events": [], "summary": echo})):
        [result], _ = asked((200, text))
        assert "holds the key" in result.error
        assert echo not in repr(result)


def test_words_around_a_plain_key_are_still_told_and_a_short_key_is_no_secret(asked, monkeypatch):
    [result], _ = asked((400, "no credit left"))
    assert result.error.endswith("HTTP 400: no credit left for Bearer ***")
    monkeypatch.setenv("THE_KEY", "one")
    [result], _ = asked((200, GOOD))
    assert result.status == "analysed"


@pytest.mark.parametrize("key", ["two words", "line\n", "grün"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(serve, monkeypatch, key):
    monkeypatch.setenv("THE_KEY", key)
    with pytest.raises(EngineStartError, match="THE_KEY") as refused:
        open_model(config_of(serve((200, GOOD))))
    assert key not in str(refused.value)


@pytest.mark.parametrize(
    "models",
    [[], {"data": None}, {"data": [1, {"id": None}]}, "m", {"error": "x"}, [{"id": "m"}]],
)
def test_a_list_of_models_of_another_shape_says_nothing(monkeypatch, models):
    monkeypatch.setenv("THE_KEY", KEY)
    endpoint = Endpoint((200, GOOD), models=response(models))
    open_model(config_of(endpoint))
    endpoint.stop()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (response(b"<html>log in"), "not JSON: <html>log in"),
        (response({"error": {"message": f"bad {KEY}"}}, status=401), r"HTTP 401: bad \*\*\*"),
        (response(b"", status=302, headers=["Location: https://other/"]), "redirects to other"),
        (response([{"id": f"n {KEY}"}]), "holds the key"),
    ],
)
def test_an_engine_does_not_start_at_an_address_that_is_none(monkeypatch, answer, words):
    monkeypatch.setenv("THE_KEY", KEY)
    endpoint = Endpoint((200, GOOD), models=answer)
    with pytest.raises(EngineStartError, match=words) as failed:
        open_model(config_of(endpoint))
    assert KEY not in str(failed.value)
    endpoint.stop()


@pytest.mark.parametrize("prompt", [{}, [], {"prompt": 5}, {"prompt": None}, b"<html>", b""])
def test_tokens_that_come_back_as_no_text_are_one_failed_window(asked, prompt):
    told = completion(GOOD) | {"prompt_token_ids": [1, 2]}
    [result], _ = asked((RAW, response(told)), (RAW, response(prompt)), server="vllm")
    assert "/detokenize" in result.error


@pytest.mark.parametrize("ids", [None, "1", [1, -1], [1.5], [10**30], {"a": 1}])
def test_token_ids_that_are_none_are_one_failed_window(asked, ids):
    told = completion(GOOD) | {"prompt_token_ids": ids}
    [result], _ = asked((RAW, response(told)), server="vllm")
    assert "the server returned no prompt tokens" in result.error


def vectors(*embeddings):
    return {"data": [{"index": i, "embedding": held} for i, held in enumerate(embeddings)]}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "another shape"),
        ({"data": [1]}, "another shape"),
        ({"data": [{"index": 0, "embedding": "AAAA"}]}, "another shape"),
        (vectors([1.0], [1.0, 2.0]), "1 to 2 numbers"),
        (vectors([1.0]), "1 vectors came for 2 texts"),
        (vectors([1.0], [0.0]), "zero or not finite"),
        (vectors([1.0], [float("nan")]), "zero or not finite"),
        (vectors([1.0], [float("inf")]), "zero or not finite"),
        (vectors([1.0], [1e300]), "zero or not finite"),
        (vectors([], []), "zero or not finite"),
        (b"<html>", "not JSON"),
        ({"error": {"message": "no such model", "code": 404}}, "HTTP 404: no such model"),
    ],
)
def test_vectors_that_are_none_end_the_command_with_the_endpoints_words(serve, body, words):
    endpoint = serve((RAW, response(body)))
    embedder = Embedder(EmbeddingConfig(base_url=endpoint.url, model="m", max_retries=0))
    with pytest.raises(EngineStartError, match=words):
        embedder.texts(["a", "b"])


def test_vectors_whose_size_changes_between_requests_are_refused(serve):
    endpoint = serve((RAW, response(vectors([1.0]))), (RAW, response(vectors([1.0, 2.0]))))
    settings = {"base_url": endpoint.url, "model": "m", "batch_texts": 1, "max_retries": 0}
    with pytest.raises(EngineStartError, match="1 to 2 numbers"):
        Embedder(EmbeddingConfig(**settings)).texts(["a", "b"])


def test_an_endpoint_that_drops_the_connection_is_tried_as_often_as_told(asked):
    [result], endpoint = asked((DROPPED, ""), max_retries=1)
    assert "broke off, tried 2 times" in result.error
    assert len(endpoint.requests) == 2
