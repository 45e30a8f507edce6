"""Failures of a store or mount are distinguished from faults of a file, and are retried."""

import errno
import os
from functools import partial

import aiohttp
import botocore.exceptions
import fsspec
import pytest
import s3fs
from tenacity import wait_none
from yarl import URL

from pipeline.errors import SourceError, UnreachableError
from pipeline.storage import locations, retry
from pipeline.storage.access import PUBLIC
from pipeline.storage.file import MediumFile, open_file
from pipeline.storage.retry import is_transient, retried


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch):
    monkeypatch.setattr(retry, "PAUSE", wait_none())


def http_error(status):
    request = aiohttp.RequestInfo(URL("http://h/a"), "GET", {}, URL("http://h/a"))
    return aiohttp.ClientResponseError(request, (), status=status)


def s3_error(status):
    answer = {"Error": {"Code": str(status)}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return botocore.exceptions.ClientError(answer, "GetObject")


def caused_by(exc, cause):
    exc.__cause__ = cause
    return exc


@pytest.mark.parametrize("error_of", [http_error, s3_error])
@pytest.mark.parametrize(
    ("status", "transient"),
    [(400, False), (401, False), (403, False), (404, False), (407, False), (408, True),
     (410, False), (416, False), (425, True), (429, True), (499, False), (500, True), (503, True)],
)  # fmt: skip
def test_only_5xx_and_busy_statuses_are_transient(error_of, status, transient):
    assert is_transient(error_of(status)) == transient
    # fsspec reports each of them as a missing file.
    assert is_transient(caused_by(FileNotFoundError("a"), error_of(status))) == transient


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
        aiohttp.ClientPayloadError("short payload"),
        botocore.exceptions.ReadTimeoutError(endpoint_url="http://h"),
        caused_by(FileNotFoundError("a"), ConnectionRefusedError("no")),
    ],
    ids=repr,
)
def test_broken_connections_and_mounts_are_transient(exc):
    assert is_transient(exc)


def test_a_store_without_credentials_is_asked_once(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    # Another test may have left a store with its account, which fsspec would hand out again.
    s3fs.S3FileSystem.clear_instance_cache()
    asked = []

    def attempt():
        store, path = locations.filesystem("s3://footage/gate.mp4", PUBLIC)
        asked.append(path)
        store.info(path)

    with pytest.raises(UnreachableError, match=r"Unable to locate credentials.* AWS_PROFILE"):
        retried(attempt, "s3://footage/gate.mp4: cannot be opened")
    assert asked == ["footage/gate.mp4"]


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
def test_permanent_errors_are_not_transient(exc):
    assert not is_transient(exc)


def test_the_error_that_a_library_bug_hides_decides():
    def handles(exc):
        try:
            raise exc
        except OSError as caught:
            caught.args[0]

    for exc, transient in ((TimeoutError(), True), (FileNotFoundError(), False)):
        with pytest.raises(IndexError) as mistaken:
            handles(exc)
        assert is_transient(mistaken.value) == transient


def test_a_connection_error_raised_from_a_lookup_error_is_transient():
    def looks_up():
        try:
            return {}["cached"]
        except KeyError:
            raise ConnectionResetError("peer went away")  # noqa: B904 - as libraries do

    with pytest.raises(ConnectionResetError) as lost:
        looks_up()
    assert is_transient(lost.value)


def test_a_bug_is_raised_unchanged_without_a_retry():
    calls = []

    def buggy():
        calls.append(1)
        raise KeyError("x")

    with pytest.raises(KeyError):
        retried(buggy, "a: cannot be read")
    assert len(calls) == 1


def test_the_last_attempt_may_succeed():
    failures = [ConnectionResetError("gone")] * (retry.ATTEMPTS - 1)

    def recovers():
        if failures:
            raise failures.pop()
        return "well"

    assert retried(recovers, "a: cannot be read") == "well"


class FailingMount:
    """Opens a local file as on a mount where reads past ``from_byte`` fail, ``times`` times."""

    def __init__(self, path, *, from_byte, times, number=errno.ESTALE):
        self._opened = partial(locations.open_local, str(path), PUBLIC)
        self.from_byte, self.times, self.number = from_byte, times, number

    def open(self, *_):
        mount, file = self, self._opened()

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

    def opened(**failure):
        mount = FailingMount(path, **failure)
        monkeypatch.setattr(locations, "open_local", mount.open)
        files.append(MediumFile(str(path)))
        return files[-1]

    yield opened
    for file in files:
        file.close()


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO])
def test_a_file_is_reopened_after_a_stale_handle_and_read_from_its_offset(on_mount, number):
    file = on_mount(from_byte=1000, times=retry.ATTEMPTS - 1, number=number)
    assert file.read(900) == (bytes(range(256)) * 16)[:900]
    assert file.read(900) == (bytes(range(256)) * 16)[900:1800]
    file.check()


def test_a_file_whose_mount_failed_at_every_attempt_stays_failed(on_mount):
    file = on_mount(from_byte=1000, times=retry.ATTEMPTS)
    with pytest.raises(UnreachableError, match="Stale file handle"):
        file.read(2000)
    with pytest.raises(UnreachableError):
        file.read(10)  # the mount is back, but FFmpeg has already treated the failure as the end
    with pytest.raises(UnreachableError):
        file.check()


def test_a_read_across_the_end_of_a_file_is_no_failure(tmp_path):
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


def test_a_file_that_was_replaced_during_reading_is_refused(on_mount, tmp_path):
    file = on_mount(from_byte=1000, times=1)
    file.read(900)
    os.truncate(tmp_path / "a.bin", 2000)
    with pytest.raises(UnreachableError, match="it has changed"):
        file.read(900)


def test_a_file_whose_length_differs_from_the_listing_is_refused():
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


def test_a_failure_of_the_medium_replaces_the_error_that_it_caused(on_mount, tmp_path):
    on_mount(from_byte=0, times=retry.ATTEMPTS)
    with pytest.raises(UnreachableError):
        read_and_raise(tmp_path / "a.bin", SourceError("its index is damaged"))


def test_a_failure_of_the_medium_does_not_replace_a_keyboard_interrupt(on_mount, tmp_path):
    on_mount(from_byte=0, times=retry.ATTEMPTS)
    with pytest.raises(KeyboardInterrupt):
        read_and_raise(tmp_path / "a.bin", KeyboardInterrupt())
