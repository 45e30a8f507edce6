"""``timereel serve``: where the server listens, who may ask it, and what it prints."""

import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import uvicorn
from fastapi import FastAPI

from pipeline.errors import ConfigError
from pipeline.see.app import make_app
from pipeline.see.guard import LOOPBACK, Admission, is_loopback
from pipeline.see.indexes import Indexes
from pipeline.see.isolation import Children
from pipeline.see.site import Site
from pipeline.storage.access import ANY_PUBLIC, Access

TOKEN_VARIABLE = "TIMEREEL_TOKEN"  # noqa: S105 - the name of a variable
_MIN_TOKEN_CHARS = 22
"""128 bits in base 64."""
_ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared, not listened on


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What the command line says."""

    indexes: Sequence[str]
    host: str = "127.0.0.1"
    port: int = 8765
    roots: Sequence[str] = ()
    source_hosts: Sequence[str] = ()
    allowed_hosts: Sequence[str] = ()
    with_token: bool = False
    read_only: bool = False
    zone: str = "UTC"
    max_decodes: int = 2


def serve(options: ServeOptions, say: Callable[[str], None]) -> None:
    """Serve until a signal ends it.

    Raises:
        ConfigError: an option is invalid, or there is no such index.
    """
    token = make_token(options)
    config = server_config(make_application(options, token), options)
    shown = "localhost" if options.host in {*_ANY_ADDRESS, *LOOPBACK} else options.host
    address = f"http://{f'[{shown}]' if ':' in shown else shown}:{options.port}/"
    for line in _told(address, token):
        say(line)
    uvicorn.Server(config).run()


def server_config(application: FastAPI, options: ServeOptions) -> uvicorn.Config:
    """How the application is served."""
    return uvicorn.Config(
        application,
        host=options.host,
        port=options.port,
        access_log=False,  # it would hold the token of the first request
        log_level="warning",
        log_config=None,  # its own would print the traceback of a bug as it is, names and all
        server_header=False,
        timeout_graceful_shutdown=2,
    )


def _told(address: str, token: str) -> list[str]:
    """What is said on starting. A token that was given is known, and logs may keep what is said."""
    if os.environ.get(TOKEN_VARIABLE):
        rest = f"add ?token= and the value of {TOKEN_VARIABLE}, once in each browser"
        return [f"timereel is at {address} (Ctrl-C ends it)", rest]
    if token:
        rest = "Whoever has this address may look, and review. It is shown only now."
        return [f"timereel is at {address}?token={token} (Ctrl-C ends it)", rest]
    return [f"timereel is at {address} (Ctrl-C ends it)"]


def make_application(options: ServeOptions, token: str) -> FastAPI:
    """The application that the options describe."""
    try:
        ZoneInfo(options.zone)
    except (ZoneInfoNotFoundError, ValueError) as exc:
        raise ConfigError(f"--zone {options.zone!r}: is no time zone; try Europe/Berlin") from exc
    site = Site(
        indexes=Indexes(options.indexes),
        access=Access(tuple(options.roots), (ANY_PUBLIC, *options.source_hosts)),
        children=Children(options.max_decodes),
        zone=options.zone,
        read_only=options.read_only,
    )
    names = (*LOOPBACK, *(name.lower() for name in options.allowed_hosts))
    if options.host not in _ANY_ADDRESS:
        names += (f"[{options.host}]" if ":" in options.host else options.host.lower(),)
    return make_app(site, Admission(hosts=names, token=token, read_only=options.read_only))


def make_token(options: ServeOptions) -> str:
    """The token to ask for: from the environment, or a new one; "" where none is needed.

    Raises:
        ConfigError: the one in the environment is too short.
    """
    given = os.environ.get(TOKEN_VARIABLE, "")
    if given and len(given) < _MIN_TOKEN_CHARS:
        raise ConfigError(
            f"{TOKEN_VARIABLE} has {len(given)} characters: use {_MIN_TOKEN_CHARS} or more random "
            "ones, or unset it, and timereel makes one"
        )
    if given:
        return given
    needs_one = options.with_token or not is_loopback([options.host])
    return secrets.token_urlsafe(32) if needs_one else ""
