"""The key of an endpoint is in no row and no error, in whatever form the endpoint echoes it."""

import asyncio
import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import Config, EmbeddingConfig, load_config
from pipeline.engine import open_model, open_speech, open_text_model
from pipeline.engine.api_key import ApiKey
from pipeline.engine.embed import open_embedder
from pipeline.engine.openai import OpenAIEngineConfig
from pipeline.errors import ConfigError, EngineStartError, SummaryError, WindowError
from tests.asked_endpoint import GOOD, KEY, config_of, results_of
from tests.endpoint import RAW, completion, listed, response
from tests.unit.test_openai_speech import STRETCH

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


def seen(endpoint, **more):
    return repr(results_of(endpoint, **more))


def read(endpoint, **more):
    config = Config(engine=config_of(endpoint, **more).engine)
    return repr(asyncio.run(open_text_model(config).ask([{"role": "user", "content": "a"}], "{}")))


def heard(endpoint, **more):
    speech = config_of(endpoint, **more).engine.model_dump(
        include={"model", "base_url", "api_key_env", "max_retries", "timeout_s"}
    )
    config = load_config(None, (f"speech={json.dumps(speech | {'kind': 'openai_speech'})}",))
    return repr(open_speech(config.listening).transcribe(STRETCH))


def embedded(endpoint, **more):
    engine = config_of(endpoint, **more).engine
    config = EmbeddingConfig.model_validate(
        engine.model_dump(include={"model", "base_url", "api_key_env", "max_retries", "timeout_s"})
    )
    return repr(open_embedder(config).texts(["a"]))


ASKS = (seen, read, heard, embedded)


def told_by(ask, endpoint, **more):
    """What becomes of an answer: rows, or an error in words."""
    try:
        return ask(endpoint, **more)
    except (EngineStartError, SummaryError, WindowError) as exc:
        return str(exc)


def answer_with(text):
    """A good answer of every API, in which a text is said."""
    vectors = {"data": [{"index": 0, "embedding": [1.0]}], "words": [], "segments": None}
    return response(completion(text) | vectors | {"text": text})


@pytest.fixture
def keyed(serve, monkeypatch):
    monkeypatch.setenv("THE_KEY", KEY)
    return serve


@pytest.mark.parametrize(
    ("ask", "form"),
    [(seen, form) for form in FORMS]
    + [(ask, form) for ask in ASKS[1:] for form in ("as it is", "base64", "escaped")],
)
def test_the_key_is_kept_in_no_form_that_a_server_may_echo(keyed, capfd, ask, form):
    echo = FORMS[form]
    told = {"error": {"message": f"no such key: {echo}!"}}
    for body in (told, f"<html>{echo}</html>".encode()):
        refusal = told_by(ask, keyed((RAW, response(body, status=400))))
        assert "HTTP 400" in refusal
        assert echo not in refusal
    for text in (f"your key is {echo}", json.dumps({"events": [], "summary": echo})):
        kept = told_by(ask, keyed((RAW, answer_with(text))))
        assert "holds the key" in kept
        assert echo not in kept
    assert not any(echo in text for text in capfd.readouterr())


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("form", ["as it is", "base64"])
def test_no_header_and_no_list_of_models_gives_the_key_away(keyed, form, ask):
    echo = FORMS[form]
    name = FORMS["hexadecimal"] if form == "base64" else echo.removeprefix("Bearer ")
    answers = (
        response(b"{}", headers=[f"Content-Encoding: {echo}"]),
        response(b"", status=302, headers=[f"Location: http://{name}/"]),
        f"HTTP/1.1 200 OK\r\n{echo}\r\n\r\n".encode(),
        f"HTTP/1.1 {echo}\r\n\r\n".encode(),
    )
    for answer in answers:
        told = told_by(ask, keyed((RAW, answer)))
        assert echo not in told
        assert name not in told
    if ask is not embedded:  # it asks for no list
        for status in (200, 401):
            models = response(listed([echo]), status=status)
            assert echo not in told_by(ask, keyed((200, GOOD), models=models))


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("status", [200, 407])
def test_the_password_of_a_proxy_is_told_by_nobody(keyed, monkeypatch, status, ask):
    basic = base64.b64encode(b"me:hunter2-of-the-proxy").decode()
    proxy = keyed((RAW, response(f"Proxy-Authorization: Basic {basic}".encode(), status=status)))
    address = proxy.url.replace("http://", "http://me:hunter2-of-the-proxy@").removesuffix("/v1")
    for scheme in ("http", "https"):
        monkeypatch.setenv(f"{scheme}_proxy", address)
        told = told_by(ask, proxy, base_url=f"{scheme}://a.test/v1")
        assert "hunter2" not in told
        assert basic not in told


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


@given(before=st.binary(max_size=9), after=st.binary(max_size=9))
def test_base64_of_any_text_around_the_key_gives_it_away(before, after):
    key = ApiKey(KEY)
    code = base64.b64encode(before + KEY.encode() + after)
    assert key.is_in(b"{" + code + b"}")
    assert key.hidden_in(code) == b"(left out: it holds the key that was sent)"
    assert not key.is_in(base64.b64encode(before + KEY[:9].encode() + after))


@given(body=st.binary(max_size=60), secret=st.text(st.characters(codec="ascii"), max_size=20))
def test_no_bytes_and_no_key_make_the_search_fail(body, secret):
    key = ApiKey(secret)
    assert not key.is_in(key.hidden_in(body))
    assert repr(key) == "ApiKey(***)"


@pytest.mark.parametrize("unit", [b"\\", b"%", b"%41", b"&#", b"&#0", b"0", b"\\u0073", b"\\n"])
def test_no_body_makes_the_search_for_the_key_slow(unit):
    # Hours, if the time grew with the square of the length.
    assert not ApiKey(KEY).is_in(b"&#" + unit * (2**20 // len(unit)))


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@h/v1",
        "https://hunter2@h/v1",
        "https://h/v1?key=hunter2",
        "https://h/v1#hunter2",
        "https:///v1",
    ],
)
def test_an_address_with_a_secret_in_it_is_refused(tmp_path, url):
    file = tmp_path / "run.yaml"
    file.write_text(f"engine: {{kind: openai, model: m, base_url: '{url}'}}")
    with pytest.raises(ConfigError, match="name that in api_key_env") as refused:
        load_config(file)
    assert "hunter2" not in str(refused.value)
    with pytest.raises(ValueError, match="api_key_env"):
        EmbeddingConfig(base_url=url, model="m")


@pytest.mark.parametrize(
    "args",
    [
        {"api_key": "hunter2"},
        {"extra_headers": {"Authorization": "hunter2"}},
        {"extra_body": [{"X-API-Key": "hunter2"}]},
        {"hf_token": "hunter2"},
        {"http-headers": ["hunter2"]},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["openai", "openai_speech", "vllm", "vllm_speech"])
def test_arguments_of_an_engine_hold_no_key(tmp_path, kind, args):
    section = "speech" if kind.endswith("speech") else "engine"
    address = {"base_url": "http://h/v1"} if kind.startswith("openai") else {}
    file = tmp_path / "run.yaml"
    file.write_text(json.dumps({section: {"kind": kind, "model": "m", "args": args} | address}))
    with pytest.raises(ConfigError, match="name that in api_key_env") as refused:
        load_config(file)
    assert "hunter2" not in str(refused.value)


def test_arguments_that_are_no_keys_are_taken():
    args = {"max_tokens": 5, "chat_template_kwargs": {"eos_token": "x"}, "return_token_ids": True}
    own = {"kind": "openai", "model": "m", "base_url": "http://h/v1", "args": args}
    assert OpenAIEngineConfig.model_validate(own).args == args


@pytest.mark.parametrize("setting", ["api_key", "api_key_env", "headers"])
def test_a_key_in_the_wrong_place_is_refused_without_being_shown(tmp_path, setting):
    file = tmp_path / "run.yaml"
    file.write_text(
        json.dumps(
            {
                "engine": {
                    "kind": "openai",
                    "model": "m",
                    "base_url": "http://h/v1",
                    setting: "sk-hunter2",
                }
            }
        )
    )
    for overrides in ([], ['embedding={"api_key": "sk-hunter2", "model": 1}']):
        with pytest.raises(ConfigError, match=f"engine.{setting}") as refused:
            load_config(file, overrides)
        assert "hunter2" not in str(refused.value)
