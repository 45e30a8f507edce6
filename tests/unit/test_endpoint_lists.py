"""What else an endpoint answers (models, tokens, vectors) is checked like its answers."""

import pytest

from pipeline.config import EmbeddingConfig
from pipeline.engine import open_model
from pipeline.engine.embed import open_embedder
from pipeline.errors import EngineStartError
from tests.asked_endpoint import GOOD, KEY, config_of
from tests.endpoint import RAW, Endpoint, completion, response


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
        (
            response(b"", status=302, headers=["Location: https://other/"]),
            "redirects to https://other",
        ),
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
    embedder = open_embedder(EmbeddingConfig(base_url=endpoint.url, model="m", max_retries=0))
    with pytest.raises(EngineStartError, match=words):
        embedder.texts(["a", "b"])


def test_vectors_whose_size_changes_between_requests_are_refused(serve):
    endpoint = serve((RAW, response(vectors([1.0]))), (RAW, response(vectors([1.0, 2.0]))))
    settings = {"base_url": endpoint.url, "model": "m", "batch_texts": 1, "max_retries": 0}
    with pytest.raises(EngineStartError, match="1 to 2 numbers"):
        open_embedder(EmbeddingConfig(**settings)).texts(["a", "b"])
