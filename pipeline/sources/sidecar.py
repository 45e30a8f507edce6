"""Notes beside a video: a JSON file, or the telemetry that drones write as subtitles."""

import json
import os
import re
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import PurePosixPath

import structlog

from pipeline.config import SourcesConfig
from pipeline.errors import SourceError, UnreachableError
from pipeline.sources.local_time import RecordingHints, credible, hints_at
from pipeline.storage import retry
from pipeline.timebase import NS_PER_MS, NS_PER_S

log = structlog.get_logger()

_TELEMETRY_BYTES = 65_536
_CUE = re.compile(r"(\d+):(\d\d):(\d\d)[,.](\d{3})\s*-->")
# 2023-09-07 10:11:12.345, 2019-09-25 01:22:35,118,697 and 2017.08.05 14:11:51 are all in use.
_STAMP = re.compile(
    r"(\d{4})[-./](\d\d)[-./](\d\d)[ T](\d\d):(\d\d):(\d\d)(?:[.,:](\d{3}))?(?:[.,:](\d{3}))?(?!\d)"
)


class Sidecars:
    """Finds and reads the notes beside videos; every folder is listed once.

    * ``clip.mp4.json`` or ``clip.json``: ``{"camera": .., "start": ISO 8601}``, either may be left
      out;
    * ``clip.srt`` or ``clip.mp4.srt``: the first time that stands in a subtitle, less the
      subtitle's own. Subtitles without any time are somebody's words, not telemetry.
    """

    def __init__(self, config: SourcesConfig) -> None:
        self.config = config
        self._names: dict[str, dict[str, str] | UnreachableError] = {}

    def read(self, uri: str) -> RecordingHints:
        """What stands beside the video ``uri``.

        Raises:
            SourceError: a note cannot be read, or names a time that is not one moment.
            UnreachableError: nobody can say now whether there is one, or what it says.
        """
        folder, slash, name = uri.rpartition("/")
        beside = self._beside(folder + slash)
        stem = name.removesuffix(PurePosixPath(name).suffix)
        told = RecordingHints()
        for suffix, parse in ((".json", self._json), (".srt", self._telemetry)):
            for wanted in (f"{name}{suffix}", f"{stem}{suffix}"):
                found = beside.get(wanted.lower())
                if found and found != name:
                    told = _filled(told, parse(folder + slash + found))
        return told

    def _beside(self, folder: str) -> dict[str, str]:
        """File names of a folder by their lower-case form: cameras write ``.SRT``."""
        if folder not in self._names:
            names: list[str] = []
            try:
                names = retry.retried(partial(_names, folder), f"{folder}: cannot be listed")
            except UnreachableError as exc:  # kept, so that one folder is waited for once
                self._names[folder] = exc
                raise
            except FileNotFoundError:
                pass
            except Exception as exc:  # noqa: BLE001 - each store has its own
                if not folder.startswith(("http://", "https://")):  # web servers list nothing
                    log.warning(
                        "cannot be listed: .json and .srt beside its videos are not read; if they"
                        " give times or cameras, allow listing",
                        folder=folder,
                        error=str(exc),
                    )
            self._names[folder] = {name.lower(): name for name in names}
        found = self._names[folder]
        if isinstance(found, UnreachableError):
            raise found
        return found

    def _json(self, sidecar: str) -> RecordingHints:
        try:
            noted = json.loads(retry.read_bytes(sidecar))
            camera = str(noted["camera"]) if "camera" in noted else None
            start = credible(datetime.fromisoformat(noted["start"])) if "start" in noted else None
        except (OSError, ValueError, TypeError) as exc:
            raise SourceError(
                f'{sidecar} must hold {{"camera": "...", "start": "2026-03-14T09:00:00Z"}}: {exc}'
            ) from exc
        return (
            hints_at(start, self.config, camera=camera) if start else RecordingHints(camera=camera)
        )

    def _telemetry(self, sidecar: str) -> RecordingHints:
        try:
            text = retry.read_bytes(sidecar, end=_TELEMETRY_BYTES).decode("utf-8", "replace")
        except OSError as exc:
            raise SourceError(f"{sidecar} cannot be read: {exc}; repair or remove it") from exc
        stamp = _STAMP.search(text)
        cues = list(_CUE.finditer(text, 0, stamp.start())) if stamp else []
        if stamp is None or not cues:
            return RecordingHints()
        written = "{}-{}-{}T{}:{}:{}.{}{}".format(*(part or "000" for part in stamp.groups()))
        try:
            told = hints_at(credible(datetime.fromisoformat(written)), self.config)
        except ValueError:
            return RecordingHints()  # digits that are no date
        hours, minutes, seconds, millis = map(int, cues[-1].groups())
        shown_ns = ((hours * 60 + minutes) * 60 + seconds) * NS_PER_S + millis * NS_PER_MS
        return replace(told, start_ns=told.start_ns - shown_ns) if told.start_ns else told


def _names(folder: str) -> list[str]:
    if "://" not in folder:
        return os.listdir(folder or ".")
    filesystem, path = retry.filesystem(folder)
    return [entry.rpartition("/")[2] for entry in filesystem.ls(path, detail=False)]


def _filled(told: RecordingHints, more: RecordingHints) -> RecordingHints:
    """``told``, and of ``more`` what it does not say."""
    timed = more if told.start_ns is None else told
    return replace(timed, camera=told.camera or more.camera)
