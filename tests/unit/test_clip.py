"""``timereel clip``: what an index knows becomes files, receipts and checksums, or nothing."""

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import av
import pytest
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem

import pipeline.index as pi
from pipeline.cli.app import main
from pipeline.clips.plan import cuts_of
from pipeline.clips.ranges import Wanted, around_events, in_time_order
from pipeline.index.erase import erase
from pipeline.index.replace import change
from pipeline.index.scope import Scope
from pipeline.timebase import TimeRange, datetime_to_ns
from tests.clips import index_of, probed, shown
from tests.disturbed import Disturbance, disturbed_server, folder
from tests.index_rows import at
from tests.videos import make_video


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Two files of a gate, of which the second follows at once, and one of a yard at 1.6 s."""
    root = tmp_path_factory.mktemp("archive")
    gate1 = probed(make_video(root / "gate1.mp4", num_frames=60), camera="gate")
    gate2 = probed(make_video(root / "gate2.mp4", num_frames=60), camera="gate", start_s=2.4)
    other = make_video(root / "yard.mkv", codec="libx265", gop=12, width=320, height=192)
    yard = probed(other, camera="yard/1", start_s=1.6)
    index_of(
        root / "index",
        [gate1, gate2, yard],
        [
            ("e1", gate1, 0.4, 0.8, "person"),
            ("e2", yard, 0.2, 0.6, "person"),
            ("e3", gate2, 0.8, 1.2, "car"),
            ("e4", gate1, 1.6, 2.4, "person"),
        ],
    )
    return root


@pytest.fixture
def clip(capsys):
    """Runs the command in this process: gives what it prints, and keeps its errors."""

    def run(*args, code=0):
        with pytest.raises(SystemExit) as ended:
            main(["clip", *map(str, args)])
        out, run.err = capsys.readouterr()
        assert ended.value.code == code, run.err
        return out

    return run


def numbers(path):
    return [number for _, number in shown(path)]


def checked(folder, manifest):
    subprocess.run(["sha256sum", "--check", manifest], cwd=folder, check=True, capture_output=True)


def test_each_event_becomes_a_file_of_its_frames_with_a_receipt_and_checksums(
    archive, clip, tmp_path
):
    clip("--index", archive / "index", "--label", "person", tmp_path / "clips")
    receipt = json.loads((tmp_path / "clips" / "clip.json").read_text())
    assert [clip["parts"][0]["events"] for clip in receipt["clips"]] == [["e1"], ["e4"], ["e2"]]
    got = [numbers(tmp_path / "clips" / clip["file"]) for clip in receipt["clips"]]
    assert got == [list(range(10, 20)), list(range(40, 60)), list(range(5, 15))]
    first = receipt["clips"][0]["parts"][0]
    assert (first["first_pts"], first["last_pts"], first["time_base"]) == (36000, 68400, "1/90000")
    assert first["cut"] == {
        "start": "2026-03-01T08:00:00.400000Z",
        "end": "2026-03-01T08:00:00.800000Z",
    }
    checked(tmp_path / "clips", "SHA256SUMS")
    assert receipt["clips"][2]["file"].startswith("yard_1-")


def test_joined_events_of_cameras_and_codecs_stand_in_order_of_time(archive, clip, tmp_path):
    out = tmp_path / "reel.mp4"
    told = clip("--index", archive / "index", "--label", "person", "--join", out)
    assert "1.600 s, 40 frames" in told
    assert numbers(out) == [*range(10, 20), *range(40, 60), *range(5, 15)]
    checked(tmp_path, "reel.sha256")


def test_an_event_with_padding_goes_on_in_the_next_file_of_its_camera(archive, clip, tmp_path):
    out = tmp_path / "e4.mp4"
    clip("--index", archive / "index", "--event", "e4", "--pad", "0.4", out)
    assert numbers(out) == [*range(30, 60), *range(10)]


def test_a_time_of_a_camera_is_cut_from_all_its_files(archive, clip, tmp_path):
    out = tmp_path / "gate.mp4"
    span = ("--from", "2026-03-01T08:00:02.2Z", "--to", "2026-03-01T08:00:02.6Z")
    clip("--index", archive / "index", *span, "--camera", "gate", out)
    assert numbers(out) == [55, 56, 57, 58, 59, 0, 1, 2, 3, 4]


def test_footage_of_which_no_model_answered_a_window_is_cut_too(archive, clip, tmp_path):
    shutil.copytree(archive / "index", tmp_path / "index")
    change(pi.open(tmp_path / "index").store, "videos", {"status": "failed"}, "camera = 'gate'")
    out = tmp_path / "gate.mp4"
    span = ("--from", "2026-03-01T08:00:02.2Z", "--to", "2026-03-01T08:00:02.6Z")
    clip("--index", tmp_path / "index", *span, "--camera", "gate", out)
    assert numbers(out) == [55, 56, 57, 58, 59, 0, 1, 2, 3, 4]


def test_the_wall_clock_is_written_on_the_picture(archive, clip, tmp_path):
    plain, burnt = tmp_path / "plain.mp4", tmp_path / "burnt.mp4"
    clip("--index", archive / "index", "--event", "e3", plain)
    clip("--index", archive / "index", "--event", "e3", "--burn-time", burnt)
    corners = []
    for path in (plain, burnt):
        with av.open(str(path)) as container:
            pictures = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
        corners.append([picture[:14].astype(int) for picture in pictures])
    assert len(corners[0]) == len(corners[1]) == 10
    assert all(abs(a - b).mean() > 10 for a, b in zip(*corners, strict=True))
    assert abs(corners[1][0] - corners[1][1]).max() > 60  # the milliseconds go on


@pytest.mark.parametrize(
    ("options", "out", "message"),
    [
        (["--label", "person"], "x.mp4", "add --join or name a folder"),
        (["--label", "person", "--join"], "x", "ends with .mp4 or .mkv"),
        ([], "x.mp4", "say what to cut"),
        (["--event", "e1", "--copy", "--burn-time"], "x.mp4", "leave one out"),
        (["--event", "none"], "x.mp4", "no event none"),
        (["--label", "boat"], "x.mp4", "no event matches"),
        (["--event", "e1"], "http://example.org/x.mp4", "name a folder or a bucket"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    archive, clip, tmp_path, options, out, message
):
    target = out if "://" in out else tmp_path / out
    code = 5 if "no event" in message else 2
    clip("--index", archive / "index", *options, target, code=code)
    assert message in clip.err
    assert clip.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_gone_costs_its_own_clip_only(archive, clip, tmp_path):
    shutil.copytree(archive, tmp_path / "archive")
    videos = [
        probed(tmp_path / "archive" / name, camera=name, start_s=start_s)
        for name, start_s in (("gate1.mp4", 0.0), ("gate2.mp4", 5.0))
    ]
    events = [("a", videos[0], 0.4, 0.8, "x"), ("b", videos[1], 0.4, 0.8, "x")]
    index_of(tmp_path / "index", videos, events)
    (tmp_path / "archive" / "gate1.mp4").unlink()
    clip("--index", tmp_path / "index", "--label", "x", tmp_path / "out", code=4)
    assert "gate1.mp4: cannot be read" in clip.err
    receipt = json.loads((tmp_path / "out" / "clip.json").read_text())
    assert [clip["parts"][0]["events"] for clip in receipt["clips"]] == [["b"]]
    assert "gate1.mp4" in receipt["failures"][0]["error"]
    checked(tmp_path / "out", "SHA256SUMS")


def test_erased_footage_is_in_no_clip(tmp_path):
    video = probed(make_video(tmp_path / "gate.mp4", num_frames=200), camera="gate")
    index = index_of(tmp_path / "index", [video])
    erase(index.store, Scope.parse(start=at(2), end=at(4), camera="gate"))
    span = TimeRange(video.utc_ns(0), video.utc_ns(8_000_000_000))
    cuts = cuts_of(pi.open(tmp_path / "index"), Wanted(camera="gate", span=span))
    assert [(cut.media.start_ns, cut.media.end_ns) for cut in cuts] == [
        (0, 2_000_000_000), (4_000_000_000, 8_000_000_000)
    ]  # fmt: skip


def test_times_that_touch_become_one_and_keep_all_their_events():
    rows = [
        {"camera": camera, "start": at(start_s), "end": at(end_s), "event_id": name}
        for name, camera, start_s, end_s in (
            ("c", "a", 7, 8), ("a", "a", 1, 2), ("b", "a", 4, 5), ("d", "b", 4, 5)
        )
    ]  # fmt: skip
    padded = in_time_order(around_events(rows, 1_000_000_000))
    assert [(one.camera, one.event_ids) for one in padded] == [
        ("a", ("a", "b", "c")), ("b", ("d",))
    ]  # fmt: skip
    assert padded[0].span == TimeRange(datetime_to_ns(at(0)), datetime_to_ns(at(9)))
    apart = in_time_order(around_events(rows, 0))
    assert [one.event_ids for one in apart] == [("a",), ("b",), ("d",), ("c",)]


def test_footage_of_a_web_server_is_cut_and_clips_go_to_a_bucket(
    archive, clip, tmp_path, monkeypatch
):
    server = ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")  # pragma: allowlist secret
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    S3FileSystem.clear_instance_cache()  # another test has another server
    try:
        with disturbed_server(folder(archive), Disturbance()) as address:
            local = probed(archive / "gate1.mp4", camera="gate")
            video = replace(local, uri=f"{address}/gate1.mp4", etag="")
            index_of(tmp_path / "index", [video], [("e", video, 0.4, 0.8, "x")])
            store = S3FileSystem(skip_instance_cache=True)
            store.mkdir("clips")
            named = f"sources.hosts=['{address.removeprefix('http://')}']"
            of_e = ("--index", tmp_path / "index", "--event", "e", "--set", named)
            clip(*of_e, "s3://clips/a/e.mp4")
        assert sorted(store.find("clips")) == [
            "clips/a/e.clip.json", "clips/a/e.mp4", "clips/a/e.sha256"
        ]  # fmt: skip
        store.get("clips/a/", str(tmp_path / "got"), recursive=True)
        assert numbers(tmp_path / "got" / "e.mp4") == list(range(10, 20))
        checked(tmp_path / "got", "e.sha256")
    finally:
        server.stop()


@pytest.fixture(scope="module")
def long_archive(tmp_path_factory):
    root = tmp_path_factory.mktemp("long")
    options = {"x264-params": "bframes=0:scenecut=0"}
    big = make_video(
        root / "big.mp4", width=640, height=360, num_frames=250, gop=250, options=options
    )
    index_of(root / "index", [video := probed(big)], [("e", video, 0.1, 9.9, "x")])
    return root


def stopped(cli, archive, folder, number):
    """A command that gets a signal once its first file is there."""
    # A shell lets what it starts in the background ignore Ctrl-C, and children inherit that.
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = cli.start("clip", "--index", archive / "index", "--event", "e", folder / "e.mp4")
    finally:
        signal.signal(signal.SIGINT, ignored)
    while not list(folder.iterdir()):
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(number)
    return process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_clip_that_is_stopped_is_whole_under_its_name_or_not_there(
    long_archive, cli, clip, tmp_path, number
):
    process = stopped(cli, long_archive, tmp_path, number)
    _, err = process.communicate(timeout=60)
    early = set()
    while (tmp_path / "e.mp4").exists():  # it was whole before the signal came: a busy machine
        early.add((tmp_path / "e.mp4").read_bytes())
        for path in tmp_path.iterdir():
            path.unlink()
        process = stopped(cli, long_archive, tmp_path, number)
        _, err = process.communicate(timeout=60)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert b"interrupted" in err
        assert b"Traceback" not in err
        assert list(tmp_path.iterdir()) == []
    clip("--index", long_archive / "index", "--event", "e", tmp_path / "e.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["e.clip.json", "e.mp4", "e.sha256"]
    assert early <= {(tmp_path / "e.mp4").read_bytes()}


def test_a_full_disk_is_one_sentence_and_leaves_nothing(long_archive, tmp_path):
    if not shutil.which("unshare"):
        pytest.skip("no unshare here to mount a small disk with")
    alone = ["unshare", "--map-root-user", "--mount", "sh", "-c",
             'mount -t tmpfs -o size=8k disk "$1" && shift && "$@"; rc=$?; ls -A "$0"; exit $rc',
             str(tmp_path), str(tmp_path)]  # fmt: skip
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system does not let its users mount a small disk")
    done = subprocess.run(
        [*alone, sys.executable, "-m", "timereel", "clip", "--index", str(long_archive / "index"),
         "--event", "e", "--burn-time", str(tmp_path / "e.mp4")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 7, done.stderr
    assert "e.mp4: cannot be written (No space left on device)" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_padding_beyond_the_footage_is_left_out(archive, clip, tmp_path):
    clip("--index", archive / "index", "--event", "e2", "--pad", "60", tmp_path / "y.mp4")
    assert numbers(tmp_path / "y.mp4") == list(range(60))
