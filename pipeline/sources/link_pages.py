"""Folders of web servers: pages of links, which may lead round in a circle or on for ever."""

from collections import deque
from typing import Any

import structlog

from pipeline.errors import SourceError
from pipeline.sources.globs import ANY_FOLDERS, matches
from pipeline.storage import retry

log = structlog.get_logger()

_MAX_DEPTH = 32
_MAX_PAGES = 10_000
_MAX_LINKS = 1_000_000

Facts = dict[str, dict[str, Any]]


def linked_files(
    filesystem: Any,  # noqa: ANN401 - of fsspec
    url: str,
    depth: int = _MAX_DEPTH,
) -> Facts:
    """Facts by URL of all files below a page, through pages at most ``depth`` deep.

    Raises:
        SourceError: there are more pages or links than any archive has.
    """
    waiting, seen, files = deque([(url, 1)]), {url.rstrip("/")}, {}
    while waiting:
        page, level = waiting.popleft()
        for link in _links(filesystem, page):
            name = link["name"]
            if name.rstrip("/") in seen:
                continue
            if link["type"] != "directory":
                files[name] = link
            elif level < depth:
                seen.add(name.rstrip("/"))
                waiting.append((name, level + 1))
        if len(seen) > _MAX_PAGES or len(files) > _MAX_LINKS:
            raise SourceError(
                f"{url}: its pages link to more than {_MAX_PAGES:,} folders or {_MAX_LINKS:,}"
                " files; name its folders one by one"
            )
    return files


def is_pattern(url: str) -> bool:
    """Whether its path is a glob; ``?`` is no wildcard, since it begins a query."""
    return bool({"*", "["} & {*"/".join(url.split("/")[3:])})


def matching_files(filesystem: Any, pattern: str) -> Facts:  # noqa: ANN401
    """The same of the files that a glob means."""
    parts = pattern.split("/")
    num_fixed = next(number for number in range(3, len(parts)) if {"*", "["} & {*parts[number]})
    folder = "/".join(parts[:num_fixed])
    depth = _MAX_DEPTH if ANY_FOLDERS in parts else pattern.count("/") - folder.count("/")
    found = linked_files(filesystem, f"{folder}/", depth)
    return {name: facts for name, facts in found.items() if matches(name, pattern)}


def _links(filesystem: Any, page: str) -> list[dict[str, Any]]:  # noqa: ANN401 - of fsspec
    try:
        links: list[dict[str, Any]] = filesystem.ls(page, detail=True)
    except Exception as exc:
        if retry.is_transient(exc) or isinstance(exc, SourceError):
            raise
        log.warning("the page cannot be listed, its links are left out", page=page, error=str(exc))
        return []
    return links
