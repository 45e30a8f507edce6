"""What this user may not read or write of an index is told in one sentence, and is no damage."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from contextlib import contextmanager

import pytest

import pipeline.index as pi
from tests.conftest import ROOT
from tests.damage import data_file, entries
from tests.index_rows import rows
from tests.unit.test_check import tables

# What root may do in spite of all modes; without it, root is a user like any other.
_ROOTS_RIGHTS = "-dac_override,-dac_read_search"
_PROGRAM = """
    import io, json, shlex, sys
    from contextlib import redirect_stderr, redirect_stdout
    from pipeline.cli.app import main

    def ended(command, index):
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
        with redirect_stdout(out), redirect_stderr(err):
            try:
                main([*shlex.split(command), "--index", index])
            except SystemExit as exc:
                err.flush()
                return exc.code, err.buffer.getvalue().decode()

    indexes, commands = map(json.loads, sys.argv[1:])
    print(json.dumps([{one: ended(one, index) for one in commands} for index in indexes]))
"""
READING = ("query", "query --sql 'SELECT count(*) FROM events'", "check")
WRITING = ("maintain", "vacuum --retention-hours 0", "erase --camera cam1", "check --repair")
CLOSED = {
    "a data file": lambda index: data_file(index, "events"),
    "a log entry": lambda index: entries(index, "events")[-1],
    "a log": lambda index: index / "events" / "_delta_log",
    "a table": lambda index: index / "events",
    "the index": lambda index: index,
}


def run(indexes, commands, cache):
    """How each command ends on each index, for a user without rights but those of the modes."""
    as_user = [] if os.geteuid() else ["setpriv"]
    for kind in ("--bounding-set", "--inh-caps") if as_user else ():
        as_user += [kind, _ROOTS_RIGHTS]
    arguments = json.dumps([str(index) for index in indexes]), json.dumps(commands)
    done = subprocess.run(
        [*as_user, sys.executable, "-c", textwrap.dedent(_PROGRAM), *arguments],
        capture_output=True, text=True, check=True, cwd=ROOT,
        env=os.environ | {"XDG_CACHE_HOME": str(cache)},
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "index"
    made = tables("v1", 0)
    writer = pi.Writer(folder)
    writer.write_windows(rows("windows", *made["windows"]))
    writer.finish_videos(
        *(rows(name, *made[name]) for name in ("videos", "events", "segments", "utterances"))
    )
    return folder


def content(index):
    return {
        path.relative_to(index): path.read_bytes() for path in index.rglob("*") if path.is_file()
    }


@contextmanager
def closed(paths, bits):
    """Nobody has the right of these bits, until the end."""
    modes = {path: path.stat().st_mode for path in paths}
    for path, mode in modes.items():
        path.chmod(mode & ~bits)
    yield
    for path, mode in modes.items():
        path.chmod(mode)


def assert_told(ended, right, path):
    code, error = ended
    assert (code, error.count("\n")) == (2, 1), error
    assert str(path) in error
    assert right in error


def test_what_may_not_be_read_is_named_and_not_taken_for_damage(whole, tmp_path):
    indexes = {what: shutil.copytree(whole, tmp_path / what) for what in CLOSED}
    paths = {what: CLOSED[what](index) for what, index in indexes.items()}
    with closed(paths.values(), 0o777):
        told = run(indexes.values(), [*READING, "check --repair"], tmp_path)
    for what, ends in zip(indexes, told, strict=True):
        for ended in ends.values():
            assert_told(ended, "Permission denied", paths[what])
        assert content(indexes[what]) == content(whole)


def test_an_index_that_is_read_only_answers_and_who_would_write_is_told_what_is_missing(
    whole, tmp_path
):
    index = shutil.copytree(whole, tmp_path / "index")
    with closed([index, *index.rglob("*")], 0o222):
        [told] = run([index], [*READING, "search car", *WRITING], tmp_path / "cache")
    for command in (*READING, "search car"):
        assert told[command] == [0, ""]
    for command in WRITING:
        assert_told(told[command], "no right to write", index)
    assert content(index) == content(whole)


def test_a_cache_of_another_user_is_not_used_and_an_order_to_erase_names_it(whole, tmp_path):
    index = shutil.copytree(whole, tmp_path / "index")
    (index / "search").mkdir()
    with closed([index / "search"], 0o777):
        [told] = run([index], ["search car", "erase --camera cam1", "query"], tmp_path / "cache")
    assert told["search car"] == told["query"] == [0, ""]
    assert_told(told["erase --camera cam1"], "Permission denied", index / "search")
    assert pi.open(index).events().num_rows == 0
