"""An index that somebody else made names places and files: none of them is opened or written.

Each hostile value meets every command that opens a recording or makes a file name of a row.
"""

import json
import re
import shutil
import socket
import subprocess
import threading
from contextlib import suppress
from dataclasses import replace

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client

from pipeline.agents.server import Tools, make_server
from pipeline.cli.app import main
from pipeline.config import DecodeConfig
from pipeline.errors import EXIT_BUG
from pipeline.index.feedback import write_feedback
from pipeline.records.file_names import MAX_NAME_BYTES, file_name
from pipeline.storage.access import Access
from tests.clips import index_of, probed
from tests.index_rows import at
from tests.page_server import served
from tests.unit.test_export_formats import said
from tests.videos import make_video

PLAIN = re.compile(r"[\w.-]+")
NAMES = {
    "climbs": "../../../escaped",
    "climbs behind a name": "x/../../../../escaped",
    "is absolute": "{folder}/escaped",
    "is only dots": "..",
    "begins like an option": "-rf",
    "is hidden": ".bashrc",
    "has control characters": "e\x1b[31m\n0000  SHA256SUMS",
    "has NUL": "e\0x",
    "has quotes": "e'\"`$(touch escaped)`",
    "turns around": "e\u202efdp.exe",
    "is long": "e" * 5_000,
    "is long in Chinese": "監" * 500,
    "is empty": "",
}


def boxes():
    return [{"at": at(s), "x0": 1.0, "y0": 1.0, "x1": 20.0, "y1": 20.0} for s in (1.2, 1.6)]


def made_index(folder, video, name="e"):
    index = index_of(folder, [video], [(name, video, 1.0, 2.0, "person")], {name: boxes()})
    write_feedback(index.store, [said(name, video, "confirmed", 1.0, 2.0, "person")])
    return index


def ended(*args):
    """The exit code of a command that runs in this process."""
    with pytest.raises(SystemExit) as exit_:
        main([*map(str, args)])
    return exit_.value.code


def files_of(folder):
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_no_id_of_a_row_leads_out_of_the_folder_that_was_named(tmp_path, name):
    name = name.replace("{folder}", str(tmp_path))
    video = probed(make_video(tmp_path / "cam1.mp4"))
    index = made_index(tmp_path / "index", replace(video, video_id=name, camera=name or "c"), name)
    of_index = ("--index", index.store.root)
    before, out = files_of(tmp_path), tmp_path / "a" / "b" / "out"
    assert ended("clip", out / "clips", *of_index, "--label", "person") == 0
    for form in ("mot", "cvat", "label-studio", "qwen"):
        assert ended("export", out / form, *of_index, "--format", form) == 0
    written = files_of(tmp_path) - before
    assert all(path.is_relative_to(out) for path in written)
    assert {path.suffix for path in written} >= {".mp4", ".txt", ".xml", ".json"}
    for path in written:
        parts = path.relative_to(out).parts
        assert all(PLAIN.fullmatch(part) and part[0] not in ".-" for part in parts)
    check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    subprocess.run(check, cwd=out / "clips", check=True, capture_output=True)
    assert ended("export", out / "coco.json", *of_index, "--format", "coco") == 0
    [image, *_] = json.loads((out / "coco.json").read_text())["images"]
    assert PLAIN.fullmatch(image["file_name"].rpartition("/")[0])


def test_a_location_begins_no_line_of_an_edit_list(tmp_path):
    line = "002  R0000002 V     C        00:00:00:00 00:00:01:00 00:00:00:00 00:00:01:00"
    video = probed(make_video(tmp_path / "cam1.mp4"))
    index = made_index(tmp_path / "index", replace(video, uri=f"a\n{line}\n\u202e.mp4"))
    of_index = ("--index", index.store.root)
    for suffix in ("edl", "otio"):
        out = tmp_path / f"list.{suffix}"
        assert ended("export", out, *of_index, "--format", suffix) == 0
        text = out.read_text()
        assert "\u202e" not in text
        assert not any(one.startswith("002") for one in text.splitlines())


@given(st.text(), st.text())
def test_two_texts_never_have_one_file_name(one, other):
    names = [file_name(one), file_name(other)]
    assert (names[0] == names[1]) == (one == other)
    for name in names:
        assert PLAIN.fullmatch(name)
        assert name[0] not in ".-"
        assert len(name.encode()) <= MAX_NAME_BYTES + 9


def test_ids_and_plain_names_stay_as_they_are():
    for name in ("gate", "yard.1", "監視-2", "00ff00ff00ff00ff00ff00ff"):
        assert file_name(name) == name


@pytest.fixture(scope="module")
def listener():
    """A server that nobody may ask, and how often somebody did."""
    server, asked = socket.create_server(("127.0.0.1", 0)), []

    def count():
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                asked.append(connection.recv(100))
                connection.close()

    threading.Thread(target=count, daemon=True).start()
    yield server.getsockname()[1], asked
    server.close()


PLACES = {
    "a file beside the root": "{folder}/private/cam1.mp4",
    "a file URL": "file://{folder}/private/cam1.mp4",
    "a way up": "{folder}/allowed/../private/cam1.mp4",
    "a root that only begins so": "{folder}/allowed2/cam1.mp4",
    "a link that leads out": "{folder}/allowed/link.mp4",
    "a folder that leads out": "{folder}/allowed/folder/cam1.mp4",
    "a relative path": "private/cam1.mp4",
    "a text of the system": "/etc/passwd",
    "a device": "/dev/zero",
    "a server here": "http://127.0.0.1:{port}/cam1.mp4",
    "a server here by another name": "http://localhost:{port}/cam1.mp4",
    "the metadata of a cloud": "http://169.254.169.254/cam1.mp4",
    "a bucket": "s3://other/cam1.mp4",
    "a chain": "simplecache::file://{folder}/private/cam1.mp4",
    "a chain to a server": "zip://cam1.mp4::http://127.0.0.1:{port}/a.zip",
    "templates of fsspec": "reference://cam1.mp4::http://127.0.0.1:{port}/refs.json",
    "a user and a password": "http://user:hunter2@127.0.0.1:{port}/cam1.mp4",
    "another protocol": "ftp://127.0.0.1:{port}/cam1.mp4",
    "a command": "ssh://-oProxyCommand=touch escaped/cam1.mp4",
    "NUL": "{folder}/private/cam1.mp4\0.mp4",
    "a playlist outside": "{folder}/private/list.m3u8",
    "control characters": "{folder}/private/\x1b[2J\ncam1.mp4",
    "nothing": "",
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, listener):
    """An index in which the recording of each camera lies at another place, and the root."""
    port, _ = listener
    folder = tmp_path_factory.mktemp("hostile")
    for name in ("allowed", "private", "allowed2"):
        (folder / name).mkdir()
    own = make_video(folder / "allowed" / "cam1.mp4")
    for name in ("private", "allowed2"):
        shutil.copy(own, folder / name)
    (folder / "private" / "list.m3u8").write_text("#EXTM3U\n#EXTINF:2,\ncam1.mp4\n")
    (folder / "allowed" / "link.mp4").symlink_to(folder / "private" / "cam1.mp4")
    (folder / "allowed" / "folder").symlink_to(folder / "private")
    found = probed(own)
    videos = [
        replace(
            found,
            uri=place.replace("{folder}", str(folder)).replace("{port}", str(port)),
            camera=f"cam{number}",
            video_id=f"v{number}",
        )
        for number, place in enumerate(PLACES.values())
    ]
    events = [(f"e{video.video_id}", video, 1.0, 2.0, "person") for video in videos]
    index = index_of(folder / "index", videos, events, {name: boxes() for name, *_ in events})
    confirmed = [said(name, video, "confirmed", 1.0, 2.0, "person") for name, video, *_ in events]
    write_feedback(index.store, confirmed)
    return index, folder / "allowed"


@pytest.fixture(autouse=True)
def nobody_is_asked(listener, monkeypatch):
    port, asked = listener
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    yield
    assert asked == []


@pytest.mark.parametrize(
    "command",
    [
        ("clip", "{out}/clips", "--label", "person"),
        ("clip", "{out}/clips", "--label", "person", "--copy"),
        ("clip", "{out}/all.mp4", "--label", "person", "--join"),
        ("export", "{out}/qwen", "--format", "qwen"),
        ("report", "{out}/report.html", "--picture-s", "60"),
        *(("evidence", "{out}/e.webp", "--event", f"ev{n}") for n in range(len(PLACES))),
        *(("track", "{out}/track.html", "--event", f"ev{n}") for n in range(len(PLACES))),
    ],
    ids=" ".join,
)
def test_no_command_opens_a_recording_outside_of_the_roots(tmp_path, hostile, capfd, command):
    index, root = hostile
    confined = ("--index", index.store.root, "--set", f'sources.roots=["{root}"]')
    code = ended(*(word.replace("{out}", str(tmp_path)) for word in command), *confined)
    assert code != EXIT_BUG
    told = "".join(capfd.readouterr())
    for secret in ("Traceback", "hunter2", "\x1b"):
        assert secret not in told
    written = files_of(tmp_path)
    assert {path.suffix for path in written} <= {".html", ".json"} | {""}
    assert not any(b"data:image" in path.read_bytes() for path in written)


def test_no_agent_sees_a_recording_outside_of_the_roots(hostile):
    index, root = hostile
    server = make_server(Tools(index, decode=DecodeConfig(), access=Access(roots=(str(root),))))

    async def call():
        async with Client(server) as client:
            return [
                await client.call_tool(tool, {"event_id": f"ev{number}"})
                for number in range(len(PLACES))
                for tool in ("picture", "clip")
            ]

    for answer in anyio.run(call):
        assert answer.is_error
        assert {one.type for one in answer.content} == {"text"}
        assert not any("hunter2" in one.text or "\x1b" in one.text for one in answer.content)


def test_the_page_shows_no_recording_outside_of_its_roots(hostile):
    index, root = hostile
    at = f"{index.event('ev0')['start']:%Y-%m-%dT%H:%M:%SZ}"
    decoded = (*_DECODED, f"cameras/picture.webp?camera=cam0&at={at}")
    with served(index.store.root, roots=[str(root)]) as (address, _):
        for number, place in enumerate(PLACES):
            answers = [
                httpx.get(f"{address}/api/v1/{path}")
                for path in (
                    f"videos/v{number}/source",
                    f"playback?event=ev{number}&native=true",
                    *(decoded if number == 0 else ()),  # in a child process each
                )
            ]
            for answer in answers:
                assert answer.status_code in range(400, 500), place
                assert answer.headers["content-type"] == "application/json"
                assert "hunter2" not in answer.text


_DECODED = (
    "videos/v0/clip.mp4?start_ns=0&end_ns=1000000000",
    "videos/v0/frames?start_ns=0&end_ns=1000000000",
    "events/ev0/picture.webp",
)
