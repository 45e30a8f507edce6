"""What a store or mount does when it fails is told apart from what is wrong with a file."""

import errno
import os

import aiohttp
import botocore.exceptions
import fsspec
import pytest
from tenacity import wait_none
from yarl import URL

from pipeline.errors import SourceError, UnreachableError
from pipeline.storage import retry
from pipeline.storage.file import MediumFile, open_file
from pipeline.storage.retry import is_transient, retried


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(retry, "PAUSE", wait_none())


def http_error(status):
    request = aiohttp.RequestInfo(URL("http://h/a"), "GET", {}, URL("http://h/a"))
    return aiohttp.ClientResponseError(request, (), status=status)


def s3_error(status):
    told = {"Error": {"Code": str(status)}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return botocore.exceptions.ClientError(told, "GetObject")


def caused_by(exc, cause):
    exc.__cause__ = cause
    return exc


@pytest.mark.parametrize("made", [http_error, s3_error])
@pytest.mark.parametrize(
    ("status", "transient"),
    [(400, False), (401, False), (403, False), (404, False), (407, False), (408, True),
     (410, False), (416, False), (425, True), (429, True), (499, False), (500, True), (503, True)],
)  # fmt: skip
def test_of_what_a_server_answers_5xx_and_a_few_others_pass(made, status, transient):
    assert is_transient(made(status)) == transient
    # fsspec says that any of them is a missing file.
    assert is_transient(caused_by(FileNotFoundError("a"), made(status))) == transient


@pytest.mark.parametrize(
    "exc",
    [
        ConnectionResetError("peer went away"),
        TimeoutError(),
        EOFError("early"),
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.ESTALE, "Stale file handle"),
        OSError(errno.ETIMEDOUT, "timed out"),
        OSError("no number"),
        aiohttp.ServerDisconnectedError(),
        aiohttp.ClientPayloadError("not all came"),
        botocore.exceptions.ReadTimeoutError(endpoint_url="http://h"),
        caused_by(FileNotFoundError("a"), ConnectionRefusedError("no")),
    ],
    ids=repr,
)
def test_a_line_or_a_mount_that_breaks_is_of_the_medium(exc):
    assert is_transient(exc)


@pytest.mark.parametrize(
    "exc",
    [
        FileNotFoundError(errno.ENOENT, "No such file"),
        PermissionError(errno.EACCES, "Permission denied"),
        IsADirectoryError("a folder"),
        OSError(errno.ENAMETOOLONG, "File name too long"),
        OSError(errno.ELOOP, "Too many levels of symbolic links"),
        ValueError("The HTTP server doesn't appear to support range requests"),
        KeyError("a bug"),
        SourceError("no video"),
        UnreachableError("tried before"),
    ],
    ids=repr,
)
def test_what_will_be_the_same_next_time_is_not(exc):
    assert not is_transient(exc)


def test_a_mistake_of_a_library_in_handling_a_failure_does_not_hide_it():
    def handles(exc):
        try:
            raise exc
        except OSError as caught:
            caught.args[0]

    for exc, transient in ((TimeoutError(), True), (FileNotFoundError(), False)):
        with pytest.raises(IndexError) as mistaken:
            handles(exc)
        assert is_transient(mistaken.value) == transient


def test_a_failure_of_the_line_while_something_is_looked_up_is_one():
    def looks_up():
        try:
            return {}["cached"]
        except KeyError:
            raise ConnectionResetError("peer went away")  # noqa: B904 - as libraries do

    with pytest.raises(ConnectionResetError) as lost:
        looks_up()
    assert is_transient(lost.value)


def test_a_bug_is_raised_at_once_and_as_it_is():
    calls = []

    def buggy():
        calls.append(1)
        raise KeyError("x")

    with pytest.raises(KeyError):
        retried(buggy, "a: cannot be read")
    assert len(calls) == 1


def test_the_last_attempt_may_still_go_well():
    failures = [ConnectionResetError("gone")] * (retry.ATTEMPTS - 1)

    def recovers():
        if failures:
            raise failures.pop()
        return "well"

    assert retried(recovers, "a: cannot be read") == "well"


class FailingMount:
    """A local file as a mount gives it that fails from some byte on, so many times."""

    def __init__(self, path, *, from_byte, times, number=errno.ESTALE):
        self._opened = path.open
        self.from_byte, self.times, self.number = from_byte, times, number

    def open(self, *args):
        mount, file = self, self._opened(*args)

        class Handle:
            fileno, seek, close, tell = file.fileno, file.seek, file.close, file.tell

            def read(self, size):
                if mount.times and file.tell() + size > mount.from_byte:
                    mount.times -= 1
                    raise OSError(mount.number, os.strerror(mount.number))
                return file.read(size)

        return Handle()


@pytest.fixture
def on_mount(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(range(256)) * 16)

    files = []

    def opened(**how):
        mount = FailingMount(path, **how)
        real = type(path).open
        monkeypatch.setattr(
            type(path), "open", lambda p, *a: mount.open(*a) if p == path else real(p, *a)
        )
        files.append(MediumFile(str(path)))
        return files[-1]

    yield opened
    for file in files:
        file.close()


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO])
def test_a_stale_handle_is_opened_anew_and_read_on_where_it_was(on_mount, number):
    file = on_mount(from_byte=1000, times=retry.ATTEMPTS - 1, number=number)
    assert file.read(900) == (bytes(range(256)) * 16)[:900]
    assert file.read(900) == (bytes(range(256)) * 16)[900:1800]
    file.check()


def test_a_mount_that_stays_away_is_remembered_by_the_file_and_asked_no_more(on_mount):
    file = on_mount(from_byte=1000, times=retry.ATTEMPTS)
    with pytest.raises(UnreachableError, match="Stale file handle"):
        file.read(2000)
    with pytest.raises(UnreachableError):
        file.read(10)  # although the mount is back: FFmpeg has drawn its conclusions
    with pytest.raises(UnreachableError):
        file.check()


def test_reading_at_the_border_of_a_file_is_no_short_answer(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"0123456789")
    with open_file(str(path)) as file:
        file.seek(9)
        assert file.read(1) == b"9"
        assert file.read(1) == b""
        file.seek(-4, os.SEEK_END)
        assert (file.tell(), file.read(100), file.read(100)) == (6, b"6789", b"")
        file.seek(12)
        assert file.read(1) == b""


def test_a_file_that_was_replaced_while_it_was_read_is_not_read_on(on_mount, tmp_path):
    file = on_mount(from_byte=1000, times=1)
    file.read(900)
    os.truncate(tmp_path / "a.bin", 2000)
    with pytest.raises(UnreachableError, match="it has changed"):
        file.read(900)


def test_a_store_that_tells_another_length_than_its_listing_is_not_believed():
    fsspec.filesystem("memory").pipe("/lies/a.bin", b"12345")
    with (
        pytest.raises(UnreachableError, match="it has changed"),
        open_file("memory://lies/a.bin", 10),
    ):
        pass
    with open_file("memory://lies/a.bin", 5) as file:
        assert file.read(10) == b"12345"


def read_and_raise(path, exc):
    with open_file(str(path)) as file:
        with pytest.raises(UnreachableError):
            file.read(1)
        raise exc


def test_a_failure_of_the_medium_outweighs_what_came_of_it(on_mount, tmp_path):
    on_mount(from_byte=0, times=retry.ATTEMPTS)
    with pytest.raises(UnreachableError):
        read_and_raise(tmp_path / "a.bin", SourceError("its index is damaged"))


def test_an_interruption_is_not_replaced_by_it(on_mount, tmp_path):
    on_mount(from_byte=0, times=retry.ATTEMPTS)
    with pytest.raises(KeyboardInterrupt):
        read_and_raise(tmp_path / "a.bin", KeyboardInterrupt())
