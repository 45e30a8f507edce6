"""A real server of the page, on a port of its own, for the tests."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn

from pipeline.see.app import WEB
from pipeline.see.server import ServeOptions, make_application, make_token, server_config


@contextmanager
def served(*indexes: object, **options: object) -> Iterator[tuple[str, str]]:
    """The address of a server of these indexes, and its token."""
    given = ServeOptions(indexes=[str(one) for one in indexes], **options)  # type: ignore[arg-type]
    token = make_token(given)
    listening = socket.create_server(("127.0.0.1", 0))
    config = server_config(make_application(given, token), given)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", token
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def modules_of(address: str) -> str:
    """The address of the page's own files, as the page names it."""
    [found] = set(re.findall(r'"(/web/\w+)/', httpx.get(f"{address}/").text))
    return f"{address}{found}"


def page_bytes(address: str) -> int:
    """What a browser receives when it opens the page for the first time, without its headers."""
    modules = modules_of(address)
    files = [path for path in WEB.rglob("*") if path.suffix in {".js", ".css"}]
    urls = [f"{address}/", *(f"{modules}/{path.relative_to(WEB)}" for path in files)]
    with httpx.Client() as client:
        return sum(received_bytes(client, url) for url in urls)


def received_bytes(client: httpx.Client, url: httpx.URL | str) -> int:
    """What a browser receives of one address, without its headers."""
    with client.stream("GET", url, headers={"Accept-Encoding": "gzip"}) as answer:
        answer.raise_for_status()
        return sum(len(piece) for piece in answer.iter_raw())
