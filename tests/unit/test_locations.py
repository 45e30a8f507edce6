"""What nobody trusted names is opened only where it may be, and costs one row where it may not."""

import asyncio
import contextlib
import json
import os
import socket
import threading
import time
from contextlib import contextmanager
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenacity import wait_none

from pipeline.config import SourcesConfig
from pipeline.errors import ConfigError, SourceError
from pipeline.sources import list_sources
from pipeline.storage import http_client, retry
from pipeline.storage.access import Access, check
from pipeline.storage.file import open_file
from tests.disturbed import Answer, Disturbance, disturbed_server
from tests.state import examples

NAME = "gate_20260301T080000Z.mp4"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(retry, "PAUSE", wait_none())
    monkeypatch.setattr(retry, "LIMIT_S", 1.0)


def listed(*locations, **settings):
    return list_sources([str(location) for location in locations], SourcesConfig(**settings))


def list_of(tmp_path, *lines):
    (tmp_path / NAME).write_bytes(b"x")
    path = tmp_path / "list.txt"
    path.write_bytes(b"\n".join([*lines, os.fsencode(tmp_path / NAME)]))
    return path


@contextmanager
def serving(answers):
    """A server of its own port: what it answers by path, and what it was asked."""
    line = Disturbance()

    def serve(request, _body):
        found = answers.get(request.path, Answer(404, {}, b""))
        return found(request.path) if callable(found) else found

    with disturbed_server(serve, line) as address:
        yield address, line


def moved(to):
    return Answer(307, {"Location": to}, b"")


def video():
    return Answer(200, {"Content-Type": "video/mp4", "Accept-Ranges": "bytes"}, b"x" * 100)


LINES = [
    b"foo://bar/x.mp4",
    b"gcs://bucket/x.mp4",
    b"sftp://host/x.mp4",
    b"reference://a.mp4::http://127.0.0.1:1/refs.json",
    b"zip://a.mp4::file:///x.zip",
    b"filecache://x",
    b"http://user:hunter2@example.com/x.mp4",
    b"http://127.0.0.1:1/x.mp4",
    b"http://[::1]:1/x.mp4",
    b"http://169.254.169.254/latest/x.mp4",
    b"http://0x7f000001:1/x.mp4",
    b"http://2130706433:1/x.mp4",
    b"http://localhost:1/x.mp4",
    b"http://h\\@evil/x.mp4",
    b"http:///x.mp4",
    b"http://h:99999/x.mp4",
    b"http://[bad/x.mp4",
    b"\xff.mp4",
    b"a\0b.mp4",
    b"@/dev/zero",
    b"/dev/zero",
    b"x" * 10_000,
    b"/" + b"x" * 5_000,
]


@pytest.mark.parametrize("line", LINES, ids=repr)
def test_a_wrong_line_of_a_list_costs_that_line(tmp_path, line):
    found = listed(list_of(tmp_path, line))
    wrong = [source for source in found if source.uri != str(tmp_path / NAME)]
    assert len(found) == 2
    assert wrong[0].problem
    assert wrong[0].unreachable == ""
    assert "hunter2" not in repr(found)


def test_a_line_formats_no_template_and_asks_no_server(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_SECRET", "topsecret123")
    with serving({}) as (address, line):
        entry = f"reference://a.mp4::{address}/refs.json"
        listed(list_of(tmp_path, entry.encode()))
        assert line.asked == []


def test_lists_that_name_themselves_or_each_other_end(tmp_path):
    for name, other in (("a.txt", "b.txt"), ("b.txt", "a.txt")):
        (tmp_path / name).write_text(f"{tmp_path / other}\n{tmp_path / NAME}\n")
    (tmp_path / NAME).write_bytes(b"x")
    problems = {os.path.basename(one.uri): one.problem for one in listed(tmp_path / "a.txt")}
    assert problems[NAME] == ""
    assert "names itself" in problems["a.txt"]


def test_lists_nest_to_a_depth_and_no_further(tmp_path):
    for depth in range(1, 10):
        (tmp_path / f"{depth}.txt").write_text(str(tmp_path / f"{depth + 1}.txt"))
    (tmp_path / "10.txt").write_text("gone.mp4")
    [source] = listed(tmp_path / "1.txt")
    assert "8 deep" in source.problem
    assert source.uri.endswith("9.txt")


def test_what_the_user_names_wrongly_is_an_error_and_no_row():
    for location in ("foo://x", "http://u:p@h/x.mp4", "file:///a::b"):
        with pytest.raises(ConfigError):
            listed(location)


def test_the_host_that_the_user_names_may_be_private_and_its_port_alone(tmp_path):
    with (
        serving({f"/{NAME}": video()}) as (address, _),
        serving({f"/{NAME}": video()}) as (other, _),
    ):
        assert listed(f"{address}/{NAME}")[0].problem == ""
        [found, _, refused] = sorted(
            listed(
                f"{address}/{NAME}",
                list_of(tmp_path, f"{other}/{NAME}".encode()),
            ),
            key=lambda one: (one.problem != "", one.uri != f"{address}/{NAME}"),
        )
        assert found.uri == f"{address}/{NAME}"
        assert "not public" in refused.problem


def test_redirects_are_followed_to_the_same_server_only():
    with serving({f"/{NAME}": video()}) as (other, asked_of_other):
        answers = {
            f"/{NAME}": video(),
            "/same.mp4": moved(f"/{NAME}"),
            "/other.mp4": moved(f"{other}/{NAME}"),
            "/file.mp4": moved("file:///etc/passwd"),
            "/round.mp4": moved("/round.mp4"),
            "/inside.mp4": moved("http://169.254.169.254/latest"),
        }
        with serving(answers) as (address, _):
            assert listed(f"{address}/same.mp4")[0].num_bytes == 100
            for name in ("other", "file", "round", "inside"):
                with pytest.raises(ConfigError):
                    listed(f"{address}/{name}.mp4")
            with (
                pytest.raises(SourceError, match="redirects to"),
                open_file(f"{address}/other.mp4", access=SourcesConfig().naming([address]).access),
            ):
                pass
        assert asked_of_other.asked == []


def test_pages_that_link_on_for_ever_end():
    page = Answer(200, {"Content-Type": "text/html"}, b'<a href="x/">x</a><a href="v.mp4">v</a>')

    def serve(path):
        return video() if path.endswith(".mp4") else page

    line = Disturbance()
    with disturbed_server(lambda request, _: serve(request.path), line) as address:
        assert 1 <= len(listed(f"{address}/")) <= 40


def test_a_page_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(http_client, "MAX_PAGE_BYTES", 1000)
    page = Answer(200, {"Content-Type": "text/html"}, b"x" * 1001)
    with serving({"/": page}) as (address, _), pytest.raises(ConfigError, match="longer than"):
        listed(f"{address}/")


@pytest.mark.parametrize(
    ("address", "is_public"),
    [("8.8.8.8", True), ("2606:4700::1", True), ("10.0.0.1", False), ("127.0.0.1", False),
     ("169.254.169.254", False), ("168.63.129.16", False), ("100.100.100.200", False),
     ("224.0.0.1", False), ("192.168.0.1", False), ("::1", False), ("fe80::1", False),
     ("fd00:ec2::254", False), ("::ffff:127.0.0.1", False), ("::ffff:8.8.8.8", True),
     ("64:ff9b::a00:1", False), ("2002:7f00:1::", False), ("ff02::1", False)],
)  # fmt: skip
def test_which_addresses_are_public(address, is_public):
    assert http_client._is_public(ip_address(address)) == is_public


def test_roots_confine_also_behind_links_and_dots(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "inside"
    inside.mkdir()
    outside.mkdir()
    (outside / NAME).write_bytes(b"x")
    (inside / "yard_20260301T080000Z.mp4").write_bytes(b"x")
    (inside / "link.mp4").symlink_to(outside / NAME)
    lines = [f"{inside}/link.mp4", f"{inside}/../inside/{NAME}", f"{outside}/{NAME}", f"{outside}"]
    (inside / "list.txt").write_text("\n".join([*lines, f"{inside}/yard_20260301T080000Z.mp4"]))
    found = listed(inside / "list.txt", roots=(str(inside),))
    assert [one.uri for one in found if not one.problem] == [f"{inside}/yard_20260301T080000Z.mp4"]
    assert sum("sources.roots" in one.problem for one in found) == len(found) - 1
    with (
        pytest.raises(SourceError, match=r"sources\.roots"),
        open_file(f"{inside}/link.mp4", access=Access(roots=(str(inside),))),
    ):
        pass


@pytest.mark.parametrize(
    ("uri", "is_allowed"),
    [("http://h/a/x.mp4", True), ("http://h/a", True), ("http://h:80/a/x", True),
     ("http://h/ab/x.mp4", False), ("http://h/a/../b", False), ("http://h/a/%2e%2e/b", False),
     ("http://h/a%2f..%2fb", False), ("http://g/a/x", False), ("http://h:81/a/x", False),
     ("s3://b/k/x.mp4", True), ("s3://b/kk", False), ("s3://c/k/x", False), ("/a", False)],
)  # fmt: skip
def test_prefixes_of_urls_end_at_a_slash(uri, is_allowed):
    rooted = Access(roots=("http://h/a/", "s3://b/k"), hosts=("h", "g"))
    if is_allowed:
        check(uri, rooted)
    else:
        with pytest.raises(SourceError):
            check(uri, rooted)


def test_with_hosts_set_no_other_is_asked():
    for uri in ("http://example.com/x", "https://nvr.local:1/x"):
        with pytest.raises(SourceError, match=r"sources\.hosts"):
            check(uri, Access(hosts=("nvr.local:8080",)))
    check("http://NVR.local:8080/x", Access(hosts=("nvr.local:8080",)))


SIDECARS = {
    "deep": b"[" * 200_000,
    "surrogate": b'{"camera": "a\\ud800b"}',
    "long": json.dumps({"camera": "x" * 256}).encode(),
    "big": b'{"camera": "x"}' + b" " * 1024 * 1024,
    "nested": b'{"camera": {"a": 1}}',
    "digits": b'{"camera": ' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("kind", SIDECARS)
def test_a_hostile_sidecar_costs_its_own_video(tmp_path, kind):
    for name in ("clip.mp4", NAME):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "clip.json").write_bytes(SIDECARS[kind])
    problems = {os.path.basename(one.uri): bool(one.problem) for one in listed(tmp_path)}
    assert problems == {"clip.mp4": True, NAME: False}


@pytest.mark.parametrize("suffix", [".json", ".srt"])
def test_a_pipe_or_a_device_as_a_sidecar_blocks_nothing(tmp_path, suffix):
    for number, make in enumerate((os.mkfifo, lambda path: os.symlink("/dev/zero", path))):
        (tmp_path / f"clip{number}.mp4").write_bytes(b"x")
        make(tmp_path / f"clip{number}{suffix}")
    assert all("device or pipe" in one.problem for one in listed(tmp_path))


def test_a_sidecar_of_exactly_one_mebibyte_is_read(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"x")
    text = b'{"camera": "' + b"x" * 255 + b'"}'
    (tmp_path / "clip.json").write_bytes(text.ljust(1024 * 1024))
    assert listed(tmp_path)[0].camera == "x" * 255


# Whatever comes, no worse than a name that does not exist here.
BEGINNINGS = (
    *("reference://", "simplecache::", "file://", "http://127.0.0.1:1/", "http://[", "http://u:p@"),
    *("local://", "memory2://", "dir::", "@", "@file://", "github://", "data:"),
)
LINE = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda scheme, rest: f"{scheme}{rest}".encode("utf-8", "surrogatepass"),
        st.sampled_from(BEGINNINGS),
        st.text(max_size=30),
    ),
).map(lambda line: line.replace(b"*", b"").replace(b"/..", b"").replace(b"?", b""))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of its own, so that a relative line finds nothing."""
    return tmp_path_factory.mktemp("lists")


@given(lines=st.lists(LINE, max_size=5))
@examples(60, 1)
def test_any_list_gives_rows_and_never_raises(place, lines):
    path = place / "fuzz.txt"
    path.write_bytes(b"\n".join([*lines, os.fsencode(place / NAME)]))
    (place / NAME).write_bytes(b"x")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        found = listed(path, roots=(str(place), "http://127.0.0.1:1/"), hosts=("*",))
    assert str(place / NAME) in {one.uri for one in found}
    for one in found:
        (one.uri + one.camera + one.problem + one.unreachable).encode()


@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text()),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ).map(lambda value: json.dumps({"camera": value, "start": value}).encode()),
        st.text(max_size=50).map(lambda text: json.dumps({"start": text}).encode()),
        st.from_regex(rb"\d+:\d\d:\d\d,\d{3} -->\n\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"),
    ),
    st.sampled_from([".json", ".srt"]),
)
@examples(60, 1)
def test_any_sidecar_gives_a_row_and_never_raises(place, content, suffix):
    folder = place / "notes"
    folder.mkdir(exist_ok=True)
    for name in os.listdir(folder):
        os.remove(folder / name)
    (folder / "clip.mp4").write_bytes(b"x")
    (folder / f"clip{suffix}").write_bytes(content)
    [one] = listed(folder)
    (one.camera + one.problem).encode()
    assert one.start_ns is None or -(2**63) <= one.start_ns < 2**63


@pytest.mark.parametrize(("limit", "what"), [("MAX_PAGE_S", "the answer"), ("MAX_HEAD_S", "head")])
def test_a_server_that_drips_for_ever_is_given_up_and_asked_no_more(monkeypatch, limit, what):
    monkeypatch.setattr(http_client, limit, 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked = threading.Event()
        dripping = threading.Thread(target=drip, args=(server, what, asked), daemon=True)
        dripping.start()
        with pytest.raises(ConfigError, match=r"takes more than 0\.5 s"):
            listed(f"http://127.0.0.1:{server.getsockname()[1]}/")
        assert asked.is_set()


def drip(server, what, asked):
    """Answer each request with a byte now and then, of the headers or of the page."""
    while True:
        try:
            line, _ = server.accept()
        except OSError:
            return
        with line, contextlib.suppress(OSError):
            line.recv(4096)
            asked.set()
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n")
            line.sendall(b"X-A: " if what == "head" else b"\r\n")
            while True:
                line.sendall(b"x")
                time.sleep(0.05)


def test_a_name_whose_address_turns_private_is_connected_to_where_it_was_checked(monkeypatch):
    addresses, tried = ["93.184.216.34", "127.0.0.1"], []

    def getaddrinfo(_host, port, *_args, **_more):
        address = addresses.pop(0) if len(addresses) > 1 else addresses[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    async def sock_connect(_loop, _socket, address):
        tried.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(asyncio.selector_events.BaseSelectorEventLoop, "sock_connect", sock_connect)
    [one] = listed("http://rebinding.example/v.mp4")
    assert one.unreachable or one.problem
    assert set(tried) == {"93.184.216.34"}
