"""HTTP for one server: it is not left for another, and its address must be public or listed."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from pipeline.errors import SourceError
from pipeline.storage.access import HTTP_PORTS, Access, Origin, check

MAX_PAGE_BYTES = 16 * 1024 * 1024
"""Of a page of links."""
MAX_BODY_BYTES = 256 * 1024 * 1024
"""Of any other answer that is read as a whole; videos are read in blocks."""
MAX_HEAD_S = 60.0
"""Until status and headers are there. A server may send a byte now and then for ever."""
MAX_PAGE_S = 60.0
MAX_BODY_S = 600.0

_CHUNK_BYTES = 64 * 1024
_REDIRECTS = range(300, 400)
_NAT64 = IPv6Network("64:ff9b::/96")
# Public by its number, and yet the metadata server of a cloud.
_METADATA = frozenset({IPv4Address("168.63.129.16")})


@dataclass(frozen=True)
class Client:
    """Makes the session of one server; fsspec calls it, and tells clients apart by their repr."""

    origin: Origin
    access: Access
    is_listed: bool
    """Whether the server's address may be private."""

    async def __call__(self, **options: Any) -> aiohttp.ClientSession:  # noqa: ANN401 - of aiohttp
        """A session that asks this server and no other."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=_Resolver(self)),
            response_class=_BoundedResponse,
            middlewares=(self._stay,),
            **options,
        )

    async def _stay(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Let a request through, the first one or one that a redirect asks for."""
        url = request.url
        asked = Origin(url.scheme, (url.host or "").lower(), url.port or 0)
        if asked != self.origin and not self._is_upgrade(asked):
            raise SourceError(
                f"{self.origin} redirects to {asked}, which is not followed; name that address"
                " itself"
            )
        # With TLS or without, what is allowed is said by the address that was named.
        there = url.with_scheme(self.origin.scheme).with_port(self.origin.port)
        check(str(there.with_fragment(None)), self.access)
        try:
            literal = ip_address(asked.host)
        except ValueError:
            pass  # a name, which the resolver looks at
        else:
            self.check_address(literal)
        async with _at_most(MAX_HEAD_S, f"{url}: status and headers"):
            answer = await handler(request)
        # aiohttp refuses these too, with an error that looks like that of a broken line.
        kind = answer.headers.get("Location", "").partition("/")[0].partition(":")
        if answer.status in _REDIRECTS and kind[1] and kind[0].lower() not in HTTP_PORTS:
            answer.close()
            raise SourceError(f"{self.origin} redirects to {kind[0]!r}, which is not HTTP")
        return answer

    def _is_upgrade(self, asked: Origin) -> bool:
        """Whether it is the same server with TLS, on its own port or on both usual ones."""
        ports = {(self.origin.port, self.origin.port), tuple(HTTP_PORTS.values())}
        secured = (self.origin.scheme, asked.scheme) == ("http", "https")
        return (
            secured and asked.host == self.origin.host and (self.origin.port, asked.port) in ports
        )

    def check_address(self, address: IPv4Address | IPv6Address) -> None:
        """Refuse an address that is not public, unless its host is listed.

        Raises:
            SourceError: names the host and the way out.
        """
        if not self.is_listed and not _is_public(address):
            raise SourceError(
                f"{self.origin}: its address {address} is not public; if it is meant, add"
                f" {self.origin.host} to sources.hosts"
            )


class _Resolver(AbstractResolver):
    """Asks the system, and gives only addresses that were checked: the connection is made to them.

    So a name that has another address a moment later (DNS rebinding) gains nothing.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._system = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._system.resolve(host, port, family)
        for one in found:
            self._client.check_address(ip_address(one["host"]))
        return found

    async def close(self) -> None:
        await self._system.close()


class _BoundedResponse(aiohttp.ClientResponse):
    """An answer that cannot be endless, whatever it is once it is unpacked."""

    async def read(self) -> bytes:
        """The whole body.

        Raises:
            SourceError: it is too long, or takes too long.
        """
        if self._body is None:
            try:
                async with _at_most(
                    MAX_PAGE_S if self._is_page else MAX_BODY_S, f"{self.url}: the answer"
                ):
                    self._body = await self._bounded()
            except BaseException:
                self.close()
                raise
        return self._body

    @property
    def _is_page(self) -> bool:
        return self.content_type == "text/html" or "Content-Type" not in self.headers

    async def _bounded(self) -> bytes:
        max_bytes = MAX_PAGE_BYTES if self._is_page else MAX_BODY_BYTES
        body = bytearray()
        async for chunk in self.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > max_bytes:
                raise SourceError(
                    f"{self.url}: the answer is longer than {max_bytes:,} bytes; check what is"
                    " served there"
                )
        return bytes(body)


@asynccontextmanager
async def _at_most(limit_s: float, what: str) -> AsyncIterator[None]:
    """Bounds what is awaited inside; what drips is not tried again, as a broken line is."""
    try:
        async with asyncio.timeout(limit_s) as limit:
            yield
    except TimeoutError as exc:
        if limit.expired():
            raise SourceError(f"{what}: takes more than {limit_s:g} s; check the server") from exc
        raise


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether anybody may have this address, also where IPv6 only wraps an older one."""
    if isinstance(address, IPv6Address):
        wrapped = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            wrapped.append(IPv4Address(int(address) & 0xFFFFFFFF))
        if not all(_is_public(one) for one in wrapped if one is not None):
            return False
        if address.ipv4_mapped is not None:
            return True
    return address.is_global and not address.is_multicast and address not in _METADATA
