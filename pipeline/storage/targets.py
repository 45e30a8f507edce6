"""New files of users: under their names they are whole or absent, here and in object stores."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath

from pipeline.errors import ConfigError, TargetError
from pipeline.storage import retry
from pipeline.storage.access import HTTP_PORTS, PUBLIC, is_remote, local_path, masked, scheme_of
from pipeline.storage.locations import filesystem


@contextmanager
def staged(target: str) -> Iterator[Path]:
    """A local path to write to; what lies there afterwards gets the name ``target`` in one step.

    After an exception nothing remains. After a kill, a hidden file with ``part`` in its name may
    remain beside the target; the next attempt replaces it.

    Raises:
        ConfigError: nothing can be written to such a place.
        TargetError: it cannot be written now.
    """
    if scheme_of(target) in HTTP_PORTS:
        raise ConfigError(f"{masked(target)}: cannot be written to; name a folder or a bucket")
    if is_remote(target):
        with tempfile.TemporaryDirectory(prefix="timereel-") as folder:
            part = Path(folder) / PurePosixPath(target).name
            with _named(target):
                yield part
                _upload(part, target)
        return
    path = Path(local_path(target))
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    with _named(target):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            with part.open("rb") as written:
                os.fsync(written.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def _named(target: str) -> Iterator[None]:
    """What could not be written is the target, not the file that was to become it."""
    try:
        yield
    except OSError as exc:
        raise refused(target, exc) from exc
    except TargetError as exc:
        cause = exc.__cause__
        raise refused(target, cause if isinstance(cause, Exception) else exc) from exc


def refused(target: str, exc: Exception) -> TargetError:
    """The error for a place that cannot be written."""
    cause = exc.strerror if isinstance(exc, OSError) and exc.strerror else retry.oneline(exc)
    return TargetError(
        f"{masked(target)}: cannot be written ({cause}); nothing remains of it. Make room or name"
        " another place, then run the same command again"
    )


def _upload(part: Path, target: str) -> None:
    store, path = filesystem(target, PUBLIC)
    try:
        retry.retried(partial(store.put_file, str(part), path), f"{target}: cannot be written")
    except (OSError, ValueError) as exc:
        raise refused(target, exc) from exc
