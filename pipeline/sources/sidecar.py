"""Reads sidecars: a JSON file beside a video, or the telemetry that drones write as subtitles."""

import os
import re
from dataclasses import replace
from datetime import datetime
from functools import partial
from posixpath import splitext

import structlog

from pipeline.config import SourcesConfig
from pipeline.errors import SourceError, UnreachableError
from pipeline.records.strict_json import read_json
from pipeline.sources.local_time import RecordingHints, credible, hints_at
from pipeline.storage import retry
from pipeline.storage.access import Access, scheme_of
from pipeline.storage.locations import filesystem, read_bytes
from pipeline.timebase import NS_PER_MS, NS_PER_S

log = structlog.get_logger()

SUFFIXES = (".json", ".srt")

_MAX_BYTES = 1024 * 1024
_MAX_CAMERA_CHARS = 255
_TELEMETRY_BYTES = 65_536
_CUE = re.compile(r"(?<!\d)(\d{1,4}):(\d\d):(\d\d)[,.](\d{3})\s*-->")
# Drones write 2023-09-07 10:11:12.345, 2019-09-25 01:22:35,118,697 and 2017.08.05 14:11:51.
_STAMP = re.compile(
    r"(\d{4})[-./](\d\d)[-./](\d\d)[ T](\d\d):(\d\d):(\d\d)(?:[.,:](\d{3}))?(?:[.,:](\d{3}))?(?!\d)"
)


class Sidecars:
    """Finds and reads the sidecars of videos; every folder is listed once.

    * ``clip.mp4.json`` or ``clip.json``: ``{"camera": "gate", "start": "2026-03-14T09:00:00Z"}``;
      both keys are optional, and ``deck`` is read elsewhere (``pipeline/flow/task/deck.py``);
    * ``clip.srt`` or ``clip.mp4.srt``: the start is the first time that a subtitle shows, minus the
      media time of that subtitle. Subtitles that show no time are speech and not telemetry.
    """

    def __init__(self, config: SourcesConfig) -> None:
        self.config = config
        self.access = config.access
        self._names: dict[str, dict[str, str] | UnreachableError] = {}

    def read(self, uri: str) -> RecordingHints:
        """The hints in the sidecars of the video ``uri``.

        Raises:
            SourceError: a sidecar cannot be read, or has a local time that does not exist or that
                is ambiguous.
            UnreachableError: the store does not answer whether there is a sidecar, or fails to give
                its content.
        """
        folder, slash, name = uri.rpartition("/")
        names = self._names_in(folder + slash)
        stem = splitext(name)[0]
        hints = RecordingHints()
        for suffix, parse in zip(SUFFIXES, (self._json, self._telemetry), strict=True):
            for candidate in (f"{name}{suffix}", f"{stem}{suffix}"):
                sidecar = names.get(candidate.lower())
                if sidecar and sidecar != name:
                    hints = _completed(hints, parse(folder + slash + sidecar))
        return hints

    def _names_in(self, folder: str) -> dict[str, str]:
        """The file names of a folder, by their lower-case form, since cameras write ``.SRT``."""
        if folder not in self._names:
            names: list[str] = []
            try:
                names = retry.retried(
                    partial(_names, folder, self.access), f"{folder}: cannot be listed"
                )
            except UnreachableError as exc:  # remembered, so that the run waits only once
                self._names[folder] = exc
                raise
            except FileNotFoundError:
                pass
            except Exception as exc:  # noqa: BLE001 - each store has its own exceptions
                # Web servers do not list folders, so that needs no warning.
                if not folder.startswith(("http://", "https://")):
                    log.warning(
                        "cannot be listed: .json and .srt beside its videos are not read; if they"
                        " give times or cameras, allow listing",
                        folder=folder,
                        error=str(exc),
                    )
            self._names[folder] = {name.lower(): name for name in names}
        listed = self._names[folder]
        if isinstance(listed, UnreachableError):
            raise listed
        return listed

    def _json(self, sidecar: str) -> RecordingHints:
        try:
            content = read_json(read_bytes(sidecar, self.access, max_bytes=_MAX_BYTES))
            camera = _camera(content["camera"]) if "camera" in content else None
            start = None
            if "start" in content:
                start = credible(datetime.fromisoformat(content["start"]))
        # RecursionError: brackets without end.
        except (OSError, ValueError, TypeError, RecursionError) as exc:
            raise SourceError(
                f'{sidecar} must hold {{"camera": "...", "start": "2026-03-14T09:00:00Z"}}: {exc}'
            ) from exc
        return (
            hints_at(start, self.config, camera=camera) if start else RecordingHints(camera=camera)
        )

    def _telemetry(self, sidecar: str) -> RecordingHints:
        try:
            text = read_bytes(
                sidecar, self.access, max_bytes=_MAX_BYTES, end=_TELEMETRY_BYTES
            ).decode("utf-8", "replace")
        except OSError as exc:
            raise SourceError(
                f"{sidecar} cannot be read: {exc}; repair it, or move it elsewhere"
            ) from exc
        stamp = _STAMP.search(text)
        cues = list(_CUE.finditer(text, 0, stamp.start())) if stamp else []
        if stamp is None or not cues:
            return RecordingHints()
        text = "{}-{}-{}T{}:{}:{}.{}{}".format(*(part or "000" for part in stamp.groups()))
        try:
            hints = hints_at(credible(datetime.fromisoformat(text)), self.config)
        except ValueError:
            return RecordingHints()  # the digits are not a date
        hours, minutes, seconds, millis = map(int, cues[-1].groups())
        cue_ns = ((hours * 60 + minutes) * 60 + seconds) * NS_PER_S + millis * NS_PER_MS
        return replace(hints, start_ns=hints.start_ns - cue_ns) if hints.start_ns else hints


def _camera(content: object) -> str:
    """A camera's name that every table can hold.

    Raises:
        ValueError: it is none; a ``TypeError`` if it is no text.
    """
    if not isinstance(content, str | int | float):
        raise TypeError("a camera's name is a text")
    name = str(content)
    if len(name) > _MAX_CAMERA_CHARS:
        raise ValueError(f"a camera's name has at most {_MAX_CAMERA_CHARS} characters")
    name.encode()  # half of a surrogate pair has no UTF-8
    return name


def _names(folder: str, access: Access) -> list[str]:
    if not scheme_of(folder):
        return os.listdir(folder or ".")
    store, path = filesystem(folder, access)
    return [entry.rpartition("/")[2] for entry in store.ls(path, detail=False)]


def _completed(hints: RecordingHints, other: RecordingHints) -> RecordingHints:
    """``hints``, completed from ``other`` where they have no camera or no start."""
    timed = other if hints.start_ns is None else hints
    return replace(timed, camera=hints.camera or other.camera)
