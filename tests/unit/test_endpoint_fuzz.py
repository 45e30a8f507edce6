"""Answers that nobody has thought of: each costs one window, and every row is written and read.

make endpoint-fuzz EXAMPLES=5000
"""

import asyncio
import gzip
import json
import time

from hypothesis import assume, given
from hypothesis import strategies as st

import pipeline.index as pi
from pipeline.engine import open_model
from pipeline.flow.task.answer import answer_window
from pipeline.index.filters import Where
from pipeline.records.sanitize import sanitized
from pipeline.tables.windows import window_results, windows_table
from tests.asked_endpoint import GOOD, KEY, PROVENANCE, config_of
from tests.endpoint import DROPPED, RAW, completion, response
from tests.made import a_video
from tests.state import examples
from tests.unit.test_engine_ask import a_window

LIMIT_S = 0.3
NUMBERS = st.sampled_from([10**30, -1, 1.5, float("nan"), float("inf"), -1e308, 503])
WORDS = st.sampled_from(
    ["stop", "length", "error", "429", KEY, KEY[::2], GOOD, "\ud800", "\x1b\x00"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "message", "text", "code", "id"]), inner)
    ),
    max_leaves=8,
)
ODD = st.one_of(st.none(), NUMBERS, WORDS, st.text(st.characters(), max_size=20), JSON)
TEXTS = st.one_of(
    st.just(GOOD),
    st.sampled_from(
        [f"<think>a</think>{GOOD}", f"```json\n{GOOD}\n```", "</think>", "```\n```", "[" * 9999]
    ),
    st.lists(st.sampled_from(["<think>", "</think>", "```", "\n", GOOD, "{", '"', "\ud800"])).map(
        "".join
    ),
    st.text(st.characters(), max_size=40),
)


def paths(node, here=()):
    """Every place in a JSON value."""
    if isinstance(node, dict | list):
        for key in node if isinstance(node, dict) else range(len(node)):
            yield (*here, key)
            yield from paths(node[key], (*here, key))


@st.composite
def shapes(draw):
    """A good answer of which some values are others, or gone."""
    text = draw(TEXTS)
    body = completion(text)
    body["choices"][0]["logprobs"] = {
        "content": [
            {"token": text, "logprob": -0.5, "bytes": list(text.encode("utf-8", "replace"))}
        ]
    }
    body["choices"][0]["message"]["reasoning_content"] = draw(st.none() | TEXTS)
    body["error"] = draw(st.none() | ODD)
    for _ in range(draw(st.integers(0, 3))):
        path = draw(st.sampled_from(sorted(paths(body), key=repr)))
        node = body
        for key in path[:-1]:
            node = node[key]
        if draw(st.booleans()):
            node[path[-1]] = draw(ODD)
        else:
            del node[path[-1]]
        assume(body)
    return json.dumps(body).encode()


PLACES = st.integers(0, 400)
LARGE = [b"<html>log in</html>", b"", b"[" * 50_000, b" " * 9_000_000, gzip.compress(b" " * 10**7)]
BODIES = st.one_of(
    shapes(),
    shapes(),
    st.builds(lambda body, end: body[:end], shapes(), PLACES),
    st.builds(
        lambda body, at, bytes_: body[:at] + bytes_ + body[at:],
        shapes(),
        PLACES,
        st.binary(max_size=4),
    ),
    shapes().map(lambda body: b"data: " + body + b"\n\ndata: [DONE]\n\n"),
    shapes().map(lambda body: body.decode().encode("utf-16")),
    ODD.map(lambda odd: json.dumps(odd).encode()),
    st.binary(max_size=60),
    st.sampled_from(LARGE),
)
STATUSES = st.one_of(st.just(200), st.just(200), st.integers(100, 999))
HEADERS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "Content-Encoding: gzip",
                "Content-Encoding: br, \x01",
                "Transfer-Encoding: chunked",
                "Retry-After: 1e99",
                "Retry-After: nan",
                "Location: http://[",
                f"Location: http://{KEY}/",
                "Set-Cookie: a=\udcff",
                "Content-Type: text/event-stream; charset=klingon",
                "Connection: upgrade",
            ]
        ),
        st.builds("{}: {}".format, st.text(max_size=6), st.text(max_size=6)),
    ),
    max_size=3,
)
LENGTHS = st.one_of(st.none(), st.none(), st.none(), st.sampled_from([0, 1, 10**12, -1, "x"]))
SPEEDS = st.sampled_from(["at once"] * 30 + ["in pieces"] * 3 + ["drop", "stall"])


@st.composite
def answers(draw):
    """What is sent for one request."""
    raw = response(
        draw(BODIES),
        status=draw(STATUSES),
        kind=draw(st.sampled_from(["application/json", "text/html", ""])),
        headers=draw(HEADERS),
        length=draw(LENGTHS),
    )
    match draw(SPEEDS):
        case "drop":
            return DROPPED, ""
        case "in pieces":
            size = 1 + len(raw) // 5
            return RAW, lambda: (raw[at : at + size] for at in range(0, len(raw), size))
        case "stall":
            return RAW, lambda: stalling(raw)
        case _:
            return RAW, raw


def stalling(raw):
    yield raw[: len(raw) // 2]
    time.sleep(2 * LIMIT_S)


def test_no_answer_ends_a_run_and_all_rows_are_written_and_read_back(serve, monkeypatch, tmp_path):
    monkeypatch.setenv("THE_KEY", KEY)
    endpoint = serve((200, GOOD))
    config = config_of(endpoint, timeout_s=LIMIT_S)
    rows, statuses = [], set()
    with asyncio.Runner() as loop:
        engine = open_model(config)
        # The first answer shows that the key and the model are right.
        loop.run(answer_window(a_window(4), engine, config))

        @examples(few=150, steps=1)
        @given(script=st.lists(answers(), min_size=1, max_size=2))
        def fuzzed(script):
            endpoint.script = [*script, script[-1]]
            for result in loop.run(answer_window(a_window(9), engine, config)):
                told = (result.error, result.finish_reason)
                assert (result.status == "failed") == bool(result.error)
                assert all(sanitized(text) == text and len(text) < 1000 for text in told)
                statuses.add(result.status)
                table = windows_table([(a_video(), result)], PROVENANCE)
                assert KEY not in repr(table.to_pylist())
                rows.append(table.set_column(*named(table, f"w{len(rows)}")))

        fuzzed()
    assert statuses == {"analysed", "failed"}
    assert_read_back(tmp_path, rows)


def named(table, window_id):
    at = table.schema.get_field_index("window_id")
    return at, table.schema.field(at), [[window_id]]


def assert_read_back(folder, rows):
    import pyarrow as pa

    written = pa.concat_tables(rows)
    writer = pi.Writer(folder)
    writer.write_windows(written)
    read = writer.index.select_all("windows", Where())
    by_id = {result.window_id: result for result in window_results(read)}
    assert by_id == {result.window_id: result for result in window_results(written)}
