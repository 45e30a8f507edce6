"""An index whose disk is full says so, loses nothing, and makes room again."""

import shutil
import subprocess
import sys
import textwrap

import pytest

from tests.videos import make_video

# A disk of its own for the program that follows; seen by that alone, and gone with it.
_ON_SMALL_DISK = 'mount -t tmpfs -o size=4m disk "$1" && shift && exec "$@"'
_PRELUDE = """
    import os, sys
    import pipeline.index as pi
    from datetime import timedelta
    from pathlib import Path
    from pipeline.cli.app import main
    from pipeline.errors import IndexFullError
    from pipeline.index.erase import erase
    from pipeline.index.maintain import vacuum
    from pipeline.index.scope import Scope
    from tests.index_rows import at, event, ids, rows, video, window

    disk = Path(sys.argv[1])
    writer = pi.Writer(disk / "index")

    def fill_disk(*, num_free_pages=0):
        filler = os.open(disk / "filler", os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(filler, bytes(4096))
        except OSError:
            os.truncate(filler, os.fstat(filler).st_size - 4096 * num_free_pages)
            os.close(filler)

    def is_full(write):
        try:
            write()
        except IndexFullError as exc:
            return str(disk) in str(exc) and "vacuum" in str(exc)
        return False
"""


@pytest.fixture
def on_small_disk(tmp_path):
    """Runs a program on a disk of 4 MB."""
    if not shutil.which("unshare"):
        pytest.skip("no unshare here to mount a small disk with")
    alone = ["unshare", "--map-root-user", "--mount", "sh", "-c", _ON_SMALL_DISK, "sh", tmp_path]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system does not let its users mount a small disk")

    def run(program, *arguments, returncode=0):
        text = textwrap.dedent(_PRELUDE) + textwrap.dedent(program)
        done = subprocess.run(
            [*alone, sys.executable, "-c", text, tmp_path, *arguments],
            capture_output=True, text=True, check=False, cwd=sys.path[0] or None,
        )  # fmt: skip
        assert done.returncode == returncode, done.stderr
        return done

    return run


def test_a_commit_on_a_full_disk_is_one_named_error_and_the_same_commit_later_is_whole(
    on_small_disk,
):
    on_small_disk(
        """
        first, second = (rows("windows", window(f"s{n}", 0, n, n + 1)) for n in range(2))
        writer.write_windows(first)
        fill_disk()
        assert is_full(lambda: writer.write_windows(second))
        assert ids(writer.index.windows(), "window_id") == ["s0-0"]
        os.remove(disk / "filler")
        writer.write_windows(second)
        assert ids(pi.open(disk / "index").windows(), "window_id") == ["s0-0", "s1-0"]
        """
    )


def test_an_archive_is_indexed_in_the_end_however_often_the_disk_was_full(
    on_small_disk, tmp_path_factory
):
    archive = tmp_path_factory.mktemp("archive")
    for number in range(3):
        make_video(archive / f"cam1_20260301T0800{5 * number:02}Z.mp4", num_frames=20, rate=4)
    on_small_disk(
        """
        from pipeline.flow.driver import archive as driver
        from pipeline.config import load_config
        from pipeline.sources import list_sources
        from tests.hard.without_ray import leave_out_ray

        leave_out_ray()
        config = load_config(None, ["commit.shards=1", "plan.shard_cost_s=0.001"])
        sources = list_sources([sys.argv[2]], config.sources)

        def index(name):
            uri = str(disk / name)
            driver.index_archive(sources, config, uri, on_progress=lambda _report: None)
            return pi.open(uri)

        def told(index):
            columns = {"windows": ["window_id", "status"], "videos": ["video_id", "status"]}
            return [index.rows(name, columns=of).to_pylist() for name, of in columns.items()]

        expected = told(index("undisturbed"))
        num_full = 0
        for num_free_pages in range(0, 60, 3):
            fill_disk(num_free_pages=num_free_pages)
            try:
                index("index")
            except IndexFullError:
                num_full += 1
            os.remove(disk / "filler")
        assert num_full > 1
        assert told(index("index")) == expected
        """,
        archive,
    )


def test_vacuum_makes_room_on_a_full_disk(on_small_disk):
    on_small_disk(
        """
        for said in range(40):
            shown = window("s", 0, 0, 1, completion=os.urandom(9000).hex())
            writer.write_windows(rows("windows", shown))
        fill_disk()
        assert is_full(lambda: writer.write_windows(rows("windows", window("s", 0, 0, 1))))
        assert vacuum(writer.store, retention=timedelta(0))["windows"] >= 39
        writer.write_windows(rows("windows", window("s", 0, 0, 1, completion="there is room")))
        (row,) = pi.open(disk / "index").windows().to_pylist()
        assert row["completion"] == "there is room"
        """
    )


def test_on_a_full_disk_an_order_to_erase_stands_or_nothing_has_happened(
    on_small_disk,
):
    on_small_disk(
        """
        from pipeline.index.erase import apply_orders

        def begin(name):
            writer = pi.Writer(disk / name)
            shown = [window("s", n, n, n + 1, completion=os.urandom(4000).hex()) for n in range(4)]
            for _ in range(3):
                writer.write_windows(rows("windows", *shown))
            shown = rows("events", event("e", at(1), at(2)))
            writer.finish_videos(rows("videos", video("v1", 0, 4)), shown)
            return writer

        def states(writer):
            return [row["state"] for row in pi.open(writer.store.root).coverage().to_pylist()]

        seen = set()
        for num_free_pages in range(0, 40, 4):
            writer = begin(f"index{num_free_pages}")
            fill_disk(num_free_pages=num_free_pages)
            if not is_full(lambda: erase(writer.store, Scope.parse(camera="cam1"))):
                os.remove(disk / "filler")
                break
            [state] = states(writer)
            seen.add(state)
            events = writer.index.events().num_rows
            assert (state, events) != ("analysed", 0)
            vacuum(writer.store, retention=timedelta(0))
            os.remove(disk / "filler")
            apply_orders(writer.index)
            assert states(writer) == [state]
            assert (state == "erased") == (writer.index.events().num_rows == 0)
            for path in (disk / f"index{num_free_pages}").glob("**/*"):
                path.is_file() and path.unlink()
        assert seen == {"analysed", "erased"}
        """
    )


def test_an_index_that_cannot_be_made_for_want_of_room_says_so(on_small_disk):
    on_small_disk(
        """
        fill_disk()
        assert is_full(lambda: pi.Writer(disk / "another"))
        """
    )


def test_the_command_ends_with_one_line_and_no_traceback(on_small_disk):
    told = on_small_disk(
        """
        writer.write_windows(rows("windows", window("s", 0, 0, 1)))
        fill_disk()
        main(["erase", "--index", str(disk / "index"), "--camera", "cam1"])
        """,
        returncode=7,
    ).stderr
    assert "error: no room to write" in told
    assert "Traceback" not in told
