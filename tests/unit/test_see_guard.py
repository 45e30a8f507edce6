"""Who may ask the server of the page, over real sockets."""

import json
import logging
import re

import pytest
from httpx import Client

from pipeline.cli.terminal import LogFormatter
from pipeline.errors import ConfigError
from pipeline.see.guard import host_of
from pipeline.see.server import ServeOptions, make_application, make_token, server_config
from tests.index_rows import open_with_four_events
from tests.page_server import modules_of, page_bytes, served

http = Client(timeout=120)
WRITE = {"X-Timereel": "1", "Content-Type": "application/json"}
SAID = json.dumps({"verdict": "confirmed", "event_id": "long"})


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return open_with_four_events(tmp_path_factory.mktemp("index")).store.root


@pytest.fixture(scope="module")
def address(root):
    with served(root) as (address, _):
        yield address


@pytest.fixture(scope="module")
def guarded(root):
    with served(root, with_token=True) as (address, token):
        yield address, token


def statuses(url, *headers, method="GET", content=None):
    return [http.request(method, url, headers=one, content=content).status_code for one in headers]


def test_a_name_that_is_not_ours_is_refused_whatever_it_looks_like(address):
    port = address.rpartition(":")[2]
    strangers = (
        "evil.example",
        f"127.0.0.1.evil.example:{port}",
        "localhost.evil.example",
        "[::2]",
    )
    url = f"{address}/api/v1/about"
    assert statuses(url, *({"Host": name} for name in strangers)) == [421] * 4
    known = (f"127.0.0.1:{port}", f"localhost:{port}", "LOCALHOST", f"[::1]:{port}")
    assert statuses(url, *({"Host": name} for name in known)) == [200] * 4


@pytest.mark.parametrize(
    ("header", "host"),
    [("a.example:80", "a.example"), ("A.example", "a.example"), ("[::1]", "[::1]"),
     ("[::1]:80", "[::1]"), ("", "")],
)  # fmt: skip
def test_the_host_is_the_header_without_its_port(header, host):
    assert host_of(header) == host


def test_another_name_is_known_if_the_command_line_names_it(root):
    with served(root, allowed_hosts=("Gate.example",)) as (address, _):
        url = f"{address}/api/v1/about"
        assert statuses(url, {"Host": "gate.example"}, {"Host": "yard.example"}) == [200, 421]


def test_a_token_moves_from_the_address_to_a_cookie_and_everything_else_asks_for_it(root):
    with served(root, with_token=True) as (address, token):
        assert len(token) >= 32
        for path in ("/", "/api/v1/about", "/web/main.js", "/metrics", "/openapi.json"):
            assert statuses(f"{address}{path}", {}, {"Cookie": "timereel=no"}) == [401, 401]
        assert http.get(f"{address}/?token=wrong").status_code == 401
        assert http.get(f"{address}/api/v1/about?token={token}").status_code == 401
        moved = http.get(f"{address}/?token={token}&event=e1")
        assert (moved.status_code, moved.headers["location"]) == (303, "/?event=e1")
        cookie = moved.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        known = ({"Cookie": cookie.partition(";")[0]}, {"Authorization": f"Bearer {token}"})
        assert statuses(f"{address}/api/v1/about", *known) == [200, 200]


def test_any_address_but_loopback_asks_for_a_token_and_a_short_one_is_refused(monkeypatch):
    made = {make_token(ServeOptions(indexes=["i"], host=host)) for host in ("0.0.0.0", "10.0.0.2")}  # noqa: S104
    assert len(made) == 2
    assert "" not in made
    assert make_token(ServeOptions(indexes=["i"], host="localhost")) == ""
    monkeypatch.setenv("TIMEREEL_TOKEN", "short")
    with pytest.raises(ConfigError, match="5 characters"):
        make_token(ServeOptions(indexes=["i"]))
    monkeypatch.setenv("TIMEREEL_TOKEN", "x" * 22)
    assert make_token(ServeOptions(indexes=["i"])) == "x" * 22


def test_a_write_needs_our_header_our_origin_and_json(address):
    url, plain = f"{address}/api/v1/feedback", {"Content-Type": "application/json"}
    for headers, status in (
        (plain, 403),
        (WRITE | {"Sec-Fetch-Site": "cross-site"}, 403),
        (WRITE | {"Sec-Fetch-Site": "same-site"}, 403),
        (WRITE | {"Sec-Fetch-Site": "none"}, 403),
        (WRITE | {"Content-Type": "text/plain"}, 415),
        (WRITE | {"Sec-Fetch-Site": "same-origin"}, 201),
        (WRITE, 201),
    ):
        assert statuses(url, headers, method="POST", content=SAID) == [status]


@pytest.mark.parametrize("other", ["a/b=1", "user@x=1", 'x=a"b', "(", "a[]=1", "timereel=wrong"])
def test_cookies_of_other_programs_of_the_host_let_nobody_in_and_keep_nobody_out(guarded, other):
    address, token = guarded
    url = f"{address}/api/v1/about"
    own = f"timereel={token}"
    with_token = ({"Cookie": f"{other}; {own}"}, {"Cookie": f"{own}; {other}"})
    assert statuses(url, {"Cookie": other}, *with_token) == [401, 200, 200]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('{"verdict": "open", "start": 1e999}', 422),
        ('{"verdict": NaN}', 422),
        ('{"verdict": "open", "note": "\\ud800"}', 422),
        ('{"verdict": "open", "\\ud800": 1}', 422),
        (f'{{"verdict": "{"x" * 60_000}"}}', 422),
        ("[" * 60_000, 400),
        (f'{{"note": "{"x" * 70_000}"}}', 413),
        ((b"x" * 10_000 for _ in range(10)), 413),
    ],
    ids=["endless", "NaN", "half a letter", "key", "long", "deep", "too long", "in pieces"],
)
def test_a_statement_that_is_none_is_refused_in_a_few_words(address, body, status):
    url = f"{address}/api/v1/feedback"
    refused = http.post(url, headers=WRITE, content=body)
    assert refused.status_code == status
    assert len(refused.content) < 500
    assert refused.json()["detail"]


def test_the_traceback_of_a_bug_commands_no_terminal(root, capsys, monkeypatch):
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter())
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    given = ServeOptions(indexes=[root])
    server_config(make_application(given, ""), given)
    logging.getLogger("uvicorn.error").error(
        "\x1b[31m%s", "\x9b2Jgate", exc_info=ValueError("\x1b[")
    )
    said = capsys.readouterr().err
    assert "gate" in said
    assert not re.search("[\x1b\x9b]", said)


def test_a_server_that_is_read_only_takes_no_statement(root):
    with served(root, read_only=True) as (address, _):
        url = f"{address}/api/v1/feedback"
        assert statuses(url, WRITE, method="POST", content=SAID) == [403]
        assert http.get(f"{address}/api/v1/about").json()["read_only"] is True


def test_every_answer_has_the_headers_that_confine_it_and_no_inline_script_runs(address):
    own = modules_of(address).removeprefix(address)
    for path in ("/", f"{own}/main.js", "/api/v1/about", "/nothing"):
        headers = http.get(f"{address}{path}").headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in policy
        assert "access-control-allow-origin" not in headers
    page = http.get(f"{address}/").text
    assert not re.search(r"<script(?![^>]*src=)| on\w+=| style=", page)


def test_a_browser_asks_once_for_the_files_of_the_page_and_each_time_for_their_names(address):
    own = http.get(f"{modules_of(address)}/main.js").headers
    assert "immutable" in own["cache-control"]
    assert own["content-encoding"] == "gzip"
    assert http.get(f"{address}/").headers["cache-control"] == "no-cache"
    other = f"{address}/web/{'0' * 24}/main.js"
    assert http.get(other).status_code == 404
    assert http.get(other).headers["cache-control"] == "no-store"


def test_the_whole_page_arrives_in_at_most_60_kilobytes(address):
    assert page_bytes(address) <= 60_000


def test_no_path_leads_out_of_the_pages_own_files(address):
    own = modules_of(address).removeprefix(address)
    paths = (
        f"{own}/../app.py",
        f"{own}/../../app.py",
        f"{own}/..%2fapp.py",
        f"{own}/%2e%2e/app.py",
        f"{own}//etc/passwd",
        "/api/v1/videos/..%2f..%2fetc%2fpasswd/source",
        "/api/v1/events/..%2fx/picture.webp",
    )
    assert [http.get(f"{address}{path}").status_code for path in paths] == [404] * len(paths)


def test_an_unknown_or_unbounded_question_is_refused(address):
    ranged = "start=2026-03-01T00:00:00Z&end=2026-03-02T00:00:00Z"
    for path in (
        "events?limit=100000",
        "events?offset=3",
        "lanes?bins=10",
        f"lanes?{ranged}&bins=100000",
        "lanes?start=2026-03-02T00:00:00Z&end=2026-03-01T00:00:00Z",
        "events?start=2026-03-02T00:00:00",
        "playback",
        "videos/v1/clip.mp4?start_ns=0&end_ns=999000000000",
        f"events?text={'x' * 300}",
        "events?review=perhaps",
        "playback?camera=yard&at=9999-12-31T23:59:59Z",
        "cameras/picture.webp?camera=yard&at=0001-01-01T00:00:00Z",
        "events?start=0001-01-01T00:00:00%2B14:00",
        "coverage?start=2026-03-01T00:00:00Z&end=9999-12-31T23:59:59-14:00",
    ):
        assert http.get(f"{address}/api/v1/{path}").status_code == 422, path
