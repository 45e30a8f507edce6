"""The key of an endpoint is in no row and no error, in whatever form the endpoint echoes it."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import EmbeddingConfig, load_config
from pipeline.engine import open_model
from pipeline.engine.api_key import ApiKey
from pipeline.engine.openai import OpenAIEngineConfig
from pipeline.errors import ConfigError, EngineStartError
from tests.asked_endpoint import GOOD, KEY, config_of
from tests.endpoint import RAW, response

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
@pytest.mark.parametrize("kind", ["openai", "vllm"])
def test_arguments_of_an_engine_hold_no_key(tmp_path, kind, args):
    engine = {"kind": kind, "model": "m", "args": args}
    file = tmp_path / "run.yaml"
    file.write_text(
        json.dumps({"engine": engine | ({"base_url": "http://h/v1"} if kind == "openai" else {})})
    )
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
