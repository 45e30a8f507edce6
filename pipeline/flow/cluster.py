"""Starts Ray or joins one, and says what it has. The graphs themselves are in ``graph.py``."""

import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from typing import Any, Literal

import ray
import ray.data
import structlog

from pipeline.config import Config
from pipeline.errors import ClusterError, ConfigError, TimereelError
from pipeline.flow import resources
from pipeline.flow.nodes import worker_start
from pipeline.processes.watchdog import ending_overdue_grandchildren
from pipeline.storage.retry import oneline

log = structlog.get_logger()

_LOOK_EVERY_S = 5.0
"""Ray waits for ever for a worker that is stopped. In a cluster its neighbours look after it."""

_CONNECT_S = 10.0
_MAX_TOLD_CHARS = 500

BLOCK_BYTES = 16 * 1024 * 1024


@contextmanager
def running_ray(
    config: Config, address: str | None, needs: resources.Resources | None = None
) -> Iterator[None]:
    """The cluster at ``address`` (or that of the submitted job), or an embedded Ray.

    A Ray that the caller has started is used and left running.

    Raises:
        ConfigError: the embedded Ray has less than ``needs``, so that a graph would wait for ever.
            A cluster may grow meanwhile, so there it is a warning. Or Ray cannot run here.
        ClusterError: Ray cannot be started or joined now.
    """
    is_ours = not ray.is_initialized()
    with _started_ray(config, address) if is_ours else nullcontext():
        # Ray Data logs every plan at INFO and every exception it then raises at ERROR.
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        # Larger blocks spilled in measurements. One or two windows of usual size fill one of these.
        context.target_max_block_size = BLOCK_BYTES
        # A replica that is killed while it loads is started again; by default one such death ends
        # the job.
        context.max_consecutive_actor_init_deaths = 3
        if missing := resources.shortage(config, needs or {}, _resources("cluster")):
            if is_ours and not _joins(address):
                raise ConfigError(missing)
            log.warning("the cluster must grow before there are results", missing=missing)
        yield


@contextmanager
def _started_ray(config: Config, address: str | None) -> Iterator[None]:
    is_embedded = not _joins(address)
    with _own_token() if is_embedded else nullcontext():
        with _own_handler_of_sigterm():
            _init_ray(config, address)
        try:
            with ending_overdue_grandchildren(_LOOK_EVERY_S) if is_embedded else nullcontext():
                yield
        finally:
            with _own_handler_of_sigterm():
                ray.shutdown()


@contextmanager
def _own_token() -> Iterator[None]:
    """A Ray of this process's own has a token of its own, which is forgotten with it.

    Else Ray would write one for all to read into the home, which a service may not write to. And a
    cluster that this process joins later would be asked with the token of the Ray that ended.
    """
    before = {name: os.environ.get(name) for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")}
    if "RAY_AUTH_TOKEN_PATH" not in os.environ:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    try:
        yield
    finally:
        for name, text in before.items():
            os.environ.pop(name, None)
            if text is not None:
                os.environ[name] = text
        # Ray reads its variables once, and has set the mode itself.
        cached: Any = ray._raylet  # noqa: SLF001
        cached.AuthenticationTokenLoader.instance().reset_cache()
        cached.Config.initialize("")


@contextmanager
def _own_handler_of_sigterm() -> Iterator[None]:
    """Ray installs a handler of its own as it starts, and removes whatever there is as it ends."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        # Only the main thread may set one; in others Ray sets none, either.
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _init_ray(config: Config, address: str | None) -> None:
    # Ray refuses these settings if it joins a cluster. In a submitted job RAY_ADDRESS is set.
    embedded: dict[str, Any] = {"include_dashboard": False}
    if config.cluster.object_store_bytes:
        embedded["object_store_memory"] = config.cluster.object_store_bytes
    # Ray puts the working directory first on the path of its workers. The package timereel imports
    # our `pipeline` even where somebody else's lies there. A Ray that runs already ignores what to
    # preload, and the workers of an embedded one would start anew for a hook.
    os.environ.setdefault("RAY_preload_python_modules", "timereel")
    start = worker_start(import_module("timereel").__version__)
    joining = {"runtime_env": {"worker_process_setup_hook": start}}
    # Without an address Ray joins whatever cluster somebody has started on this machine.
    joins = _joins(address)
    if address:
        _require_open_port(address)
    try:
        ray.init(
            address=address if joins else "local",
            logging_level=logging.ERROR,
            log_to_driver=False,
            **(joining if joins else embedded),
        )
    except Exception as exc:  # Ray raises bare ones, too, and starts nothing then
        raise _in_one_sentence(exc, address) from exc


def _require_open_port(address: str) -> None:
    """Refuse an address where nobody listens: Ray would try it for minutes.

    Raises:
        ClusterError: there is no connection to ``host:port``. Other forms are left to Ray.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
    except OSError as exc:
        raise ClusterError(
            f"no Ray answers at {address} ({exc}): start its head, open its port to this machine, "
            "or name another address"
        ) from exc


def _in_one_sentence(exc: Exception, address: str | None) -> TimereelError:
    told = oneline(exc)[:_MAX_TOLD_CHARS]
    if "AF_UNIX path length" in told:
        return ConfigError(
            "the temporary folder has too long a path for Ray's sockets: set TMPDIR to a shorter "
            f"one, such as /tmp ({told})"
        )
    if "InvalidAuthToken" in f"{told} {exc.__cause__}":
        return ConfigError(
            f"{address or 'this cluster'} refuses the token: set RAY_AUTH_MODE=token, and "
            "RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to the token of the cluster"
        )
    if "Version mismatch" in told:
        return ConfigError(f"{address or 'this cluster'} needs the same Ray and Python: {told}")
    if address:
        return ClusterError(f"Ray cannot be joined at {address}: {told}")
    return ClusterError(
        f"Ray cannot be started: {told}; where this machine was too busy, the same command "
        "succeeds later"
    )


def _joins(address: str | None) -> bool:
    return bool(address or os.environ.get("RAY_ADDRESS"))


def waits_for(config: Config) -> str:
    """What may hold up a graph of this configuration now, in words."""
    return resources.in_words(config, _resources("cluster"), _resources("available"))


def _resources(which: Literal["cluster", "available"]) -> resources.Resources:
    ask: Callable[[], resources.Resources] = getattr(ray, f"{which}_resources")  # untyped in Ray
    return ask()
