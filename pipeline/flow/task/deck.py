"""Finds and reads the deck beside a recording: the slides that are shown in it. No Ray here."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from posixpath import splitext

import numpy as np

from pipeline.config import Config
from pipeline.errors import SourceError, UnreachableError
from pipeline.flow.task.beside import names_beside
from pipeline.media.deck import MAX_PAGES, SUFFIXES, PageContent, read_pages
from pipeline.processes.crash_isolation import ProcessDiedError, in_child_process
from pipeline.processes.memory_limit import memory_limit
from pipeline.processes.watchdog import watchdog
from pipeline.records import Deck, DeckPage, Video
from pipeline.records.sanitize import sanitized
from pipeline.records.strict_json import read_json
from pipeline.slides.picture import Still, encode
from pipeline.storage import retry
from pipeline.storage.access import Access
from pipeline.storage.locations import filesystem, read_bytes

_MAX_BYTES = 128 * 1024 * 1024
_MAX_SIDECAR_BYTES = 1024 * 1024
_MAX_S = 60.0
"""For all pages of a deck."""
_MAX_MEMORY_BYTES = 2**30
"""That the child may use beyond what it starts with."""
_STAMPS = ("ETag", "etag", "mtime", "LastModified", "last_modified")


@dataclass(frozen=True, slots=True)
class _Unread:
    """Why a deck, or the rest of it, is not read."""

    why: str
    may_pass: bool = False
    """Whether a later run may read it, though it is the same file."""


def looks_for_decks(config: Config) -> bool:
    """Whether a run of this configuration needs decks."""
    return config.slides is not None and not config.hears


def with_deck(video: Video, config: Config) -> Video:
    """The video with the deck beside it; what is wrong with that becomes a warning.

    Only what is derived from windows needs the deck, so shards go without it.
    """
    access = config.sources.access
    deck, pages, unread = Deck(), list[DeckPage](), None
    try:
        deck = find_deck(video.uri, names_beside(video.uri, access), access)
        if deck.uri:
            data = read_bytes(deck.uri, access, max_bytes=_MAX_BYTES)
            pages, unread = _read(data, _suffix(deck.uri))
    except UnreachableError as exc:
        unread = _Unread(str(exc), may_pass=True)
    except (SourceError, OSError) as exc:
        unread = _Unread(str(exc))
    if unread is None:
        return replace(video, deck=replace(deck, pages=tuple(pages)))
    warning = sanitized(f"the deck {deck.uri} is not read, or not all of it: {unread.why}")
    etag = "" if unread.may_pass else deck.etag
    return replace(
        video,
        deck=replace(deck, etag=etag, pages=tuple(pages)),
        warnings=(*video.warnings, warning),
    )


def with_other_decks(etags: Mapping[str, str], access: Access) -> set[str]:
    """URIs of recordings beside which now lies another deck than in ``etags``, or none."""
    names: dict[str, list[str]] = {}
    changed = set()
    for uri, etag in etags.items():
        folder = uri.rpartition("/")[0]
        try:
            if folder not in names:
                names[folder] = names_beside(uri, access)
            deck = find_deck(uri, names[folder], access)
        except (UnreachableError, SourceError, OSError):
            continue  # nobody knows; what was found stays
        if deck.etag != etag:
            changed.add(uri)
    return changed


def find_deck(uri: str, names: Iterable[str], access: Access) -> Deck:
    """The deck of a recording among the names in its folder, without its pages.

    ``talk.pdf`` or ``talk.mp4.pdf`` is that of ``talk.mp4``, or the name under ``deck`` in its
    JSON sidecar. A PDF precedes the same deck for PowerPoint, as it says how its pages look.

    Raises:
        UnreachableError: the medium does not answer.
    """
    folder, _, name = uri.rpartition("/")
    stem = splitext(name)[0]
    by_lower = {one.lower(): one for one in names}
    stated = (
        _stated(f"{folder}/{sidecar}", access)
        for one in (name, stem)
        if (sidecar := by_lower.get(f"{one}.json".lower()))
    )
    named = (f"{one}{suffix}" for suffix in SUFFIXES for one in (stem, name))
    for candidate in (*stated, *named):
        found = by_lower.get(candidate.lower())
        if found and found != name and _suffix(found) in SUFFIXES:
            return Deck(uri=f"{folder}/{found}", etag=_etag(f"{folder}/{found}", access))
    return Deck()


def _stated(sidecar: str, access: Access) -> str:
    """The name that a sidecar states; "" if it states none, whose errors the listing has told."""
    try:
        content = read_json(read_bytes(sidecar, access, max_bytes=_MAX_SIDECAR_BYTES))
    except (SourceError, OSError, ValueError, RecursionError):
        return ""
    deck = content.get("deck") if isinstance(content, dict) else None
    return deck if isinstance(deck, str) else ""


def _etag(uri: str, access: Access) -> str:
    try:
        store, path = filesystem(uri, access)
        facts = retry.retried(partial(store.info, path), f"{uri}: cannot be opened")
    except (SourceError, OSError):
        return "unread"  # reading it says why
    stamp = next((facts[key] for key in _STAMPS if facts.get(key)), "")
    return f"{facts.get('size')}-{stamp}"


def _suffix(uri: str) -> str:
    return splitext(uri)[1].lower()


def _read(data: bytes, suffix: str) -> tuple[list[DeckPage], _Unread | None]:
    """The pages, and why there are no more of them."""
    pages: list[DeckPage] = []
    try:
        for item in in_child_process(_pages_or_problem, data, suffix):
            if isinstance(item, _Unread):
                return pages, item
            pages.append(item)
    except ProcessDiedError:
        limits = f"{_MAX_S:g} s or {_MAX_MEMORY_BYTES >> 30} GiB of memory"
        return pages, _Unread(f"after page {len(pages)} its reader needed more than {limits}")
    if len(pages) == MAX_PAGES:
        return pages, _Unread(f"at most {MAX_PAGES} pages of a deck are read")
    return pages, None


def _pages_or_problem(data: bytes, suffix: str) -> Iterator[DeckPage | _Unread]:
    """In the child: the pages of a deck; a problem ends them."""
    try:
        with memory_limit(_MAX_MEMORY_BYTES), watchdog(_MAX_S):
            yield from map(_page, read_pages(data, suffix))
    except ImportError as exc:
        why = f"it needs {exc.name}; install timereel[deck], and run again"
        yield _Unread(why, may_pass=True)
    except MemoryError:
        yield _Unread(f"it needs more than {_MAX_MEMORY_BYTES >> 30} GiB of memory")
    except SourceError as exc:
        yield _Unread(str(exc))


def _page(content: PageContent) -> DeckPage:
    grey = content.grey
    picture = "" if grey is None else encode(Still(grey, np.ones(grey.shape, bool)))
    return DeckPage(text=content.text, picture=picture)
