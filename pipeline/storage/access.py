"""Which places may be opened. Nothing is opened here.

The command line and the config are trusted to name places. List files, pages of links, redirects
and symbolic links are not: what they name must pass ``check`` first.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from pipeline.errors import SourceError

SCHEMES = ("file", "s3", "s3a", "gs", "gcs", "az", "abfs", "http", "https")
"""All others of fsspec are refused: some run commands, chain, or format what they are told."""
HTTP_PORTS = {"http": 80, "https": 443}
ANY_PUBLIC = "*"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_IPV6 = re.compile(r"://\[[^\]/]*\]")
_USER = re.compile(r"(://)[^/?#]*@")
# Parsers of URLs disagree about these.
_AMBIGUOUS = re.compile(r"[\x00-\x1f\x7f\\]")


@dataclass(frozen=True, slots=True)
class Access:
    """What may be opened: see ``sources.roots`` and ``sources.hosts``."""

    roots: tuple[str, ...] = ()
    hosts: tuple[str, ...] = (ANY_PUBLIC,)


PUBLIC = Access()
"""This machine, the stores that credentials reach, and every public host."""


class Origin(NamedTuple):
    """The server of an HTTP URL."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"


def scheme_of(location: str) -> str:
    """The scheme of a URL; "" for a local path."""
    match = _SCHEME.match(location)
    return match[1] if match else ""


def is_remote(uri: str) -> bool:
    """Whether ``uri`` is a URL that fsspec reads, not a path on this machine."""
    return scheme_of(uri) not in {"", "file"}


def local_path(uri: str) -> str:
    """The path of a local ``uri``."""
    return uri.removeprefix("file://")


def masked(uri: str) -> str:
    """The location without a user and a password, so that it can be shown and stored."""
    return _USER.sub(r"\1***@", uri) if "@" in uri else uri


def check(uri: str, access: Access) -> None:
    """Refuse a location that may not be opened. Whose address is private is seen on connecting.

    Raises:
        SourceError: names the location, why it is refused, and what to do.
    """
    shown, scheme = masked(uri), scheme_of(uri)
    if "\0" in uri:
        raise SourceError(f"{shown!r}: holds a NUL character, which no name can; correct it")
    if scheme and scheme not in SCHEMES:
        raise SourceError(
            f"{shown}: {scheme}:// is not opened; use a local path or one of {', '.join(SCHEMES)}"
        )
    if scheme and "::" in _IPV6.sub("", uri):
        raise SourceError(f"{shown}: chains of file systems (::) are not opened; unpack it first")
    if scheme and shown != uri:
        raise SourceError(
            f"{shown}: names a user or a password; leave them out, credentials come from the"
            " environment"
        )
    if scheme in HTTP_PORTS:
        _check_host(uri, access)
    if access.roots and not any(_is_below(uri, root) for root in access.roots):
        raise SourceError(f"{shown}: is not below any of sources.roots; add its folder there")


def _check_host(uri: str, access: Access) -> None:
    if _AMBIGUOUS.search(uri) or "#" in uri:
        raise SourceError(f"{uri!r}: holds '#', '\\' or a control character; escape it with %")
    origin = origin_of(uri)
    if ANY_PUBLIC not in access.hosts and not is_listed(origin, access.hosts):
        raise SourceError(f"{uri}: the host {origin.host} is not in sources.hosts; add it there")


def origin_of(url: str) -> Origin:
    """The server of an HTTP URL.

    Raises:
        SourceError: it names none.
    """
    try:
        parts = urlsplit(url)
        port = HTTP_PORTS[parts.scheme] if parts.port is None else parts.port
    except ValueError as exc:
        raise SourceError(f"{masked(url)}: is not an address ({exc}); correct it") from exc
    if not parts.hostname:
        raise SourceError(f"{masked(url)}: names no host; correct it")
    return Origin(parts.scheme, parts.hostname, port)


def is_listed(origin: Origin, hosts: Iterable[str]) -> bool:
    """Whether a host is listed, as ``name`` (on any port) or as ``name:port``."""
    name = f"[{origin.host}]" if ":" in origin.host else origin.host
    listed = {host.lower() for host in hosts} - {ANY_PUBLIC}
    return not listed.isdisjoint({origin.host, name, f"{name}:{origin.port}"})


def named_hosts(locations: Iterable[str]) -> tuple[str, ...]:
    """The hosts of the HTTP URLs among locations that the user has named, as ``name:port``."""
    hosts = []
    for location in locations:
        url = location.removeprefix("@")
        if scheme_of(url) in HTTP_PORTS:
            try:
                _, host, port = origin_of(url)
            except SourceError:
                continue  # whoever opens it says so
            hosts.append(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    return tuple(dict.fromkeys(hosts))


def _is_below(uri: str, root: str) -> bool:
    if not is_remote(uri):
        if is_remote(root):
            return False
        tree = os.path.realpath(local_path(root))
        return os.path.commonpath([os.path.realpath(local_path(uri)), tree]) == tree
    if not is_remote(root):
        return False
    (server, path), (root_server, folder) = _parts(uri), _parts(root)
    inside = path == folder.rstrip("/") or path.startswith(folder.rstrip("/") + "/")
    return server == root_server and inside and ".." not in path.split("/")


def _parts(url: str) -> tuple[object, str]:
    """The server or bucket of a URL, and the path in it as the server will read it."""
    scheme = scheme_of(url)
    if scheme in HTTP_PORTS:
        parts: SplitResult = urlsplit(url)
        return origin_of(url), unquote(parts.path)
    bucket, _, path = url.removeprefix(f"{scheme}://").partition("/")
    return (scheme, bucket), f"/{path}"
