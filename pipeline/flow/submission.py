"""Hands a run to the job server of a Ray cluster, and follows it until it ends there.

A job is known by what it does: a second submission of work that still runs joins the first.
"""

import asyncio
import hashlib
import json
import logging
import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from pipeline.config import Config
from pipeline.errors import (
    EXIT_INCOMPLETE,
    EXIT_INTERRUPTED,
    EXIT_OK,
    ConfigError,
    UnreachableError,
)
from pipeline.storage.access import masked
from pipeline.storage.retry import oneline

_CONFIG = "timereel.yaml"
_POLL_S = 1.0
_MAX_WORDS_CHARS = 400
_MAX_READ_CHARS = 65_536
"""Of what a server says, of which fewer are shown."""
_TELL_EACH_UPLOAD = ("ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging")
_NOT_FOUND = 127
"""What a shell ends with where a program is missing."""
_BY_A_SIGNAL = 128
"""A shell adds the number of the signal that ended its program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """What the process of the run asks of the node that it runs on, beside its tasks."""

    num_cpus: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job of the cluster; ``is_new`` unless the same work was running there already."""

    job_id: str
    is_new: bool


def connect(address: str) -> JobSubmissionClient:
    """The job server at an http address; a token comes from Ray's own variables.

    Raises:
        UnreachableError: nothing answers there.
        ConfigError: what answers is no job server of this Ray, or refuses the token.
    """
    if not address.startswith(("http://", "https://")):
        raise ConfigError(
            f"--cluster {masked(address)}: give the address of the dashboard, as http://head:8265"
        )
    # Ray prefers its own variables to the argument; the user's option must win over RAY_ADDRESS.
    os.environ["RAY_API_SERVER_ADDRESS"] = address
    with _in_one_sentence(address):
        client = JobSubmissionClient(address)
    for name in _TELL_EACH_UPLOAD:
        logging.getLogger(name).setLevel(logging.WARNING)
    return client


def submit(
    client: JobSubmissionClient,
    config: Config,
    arguments: Sequence[str],
    driver: Driver,
    metadata: Mapping[str, str],
) -> Submitted:
    """Start ``timereel index`` with the arguments on the cluster, unless it runs there already.

    The settings travel with the job, so that no node needs the config file.
    """
    name = _name(config, arguments)
    with _in_one_sentence(client.get_address()):
        jobs = {job.submission_id or "": job.status for job in client.list_jobs()}
        same = {job_id: status for job_id, status in jobs.items() if job_id.startswith(name)}
        for job_id, status in same.items():
            if not status.is_terminal():
                return Submitted(job_id, is_new=False)
        numbers = [int(job_id.removeprefix(name)) for job_id in same]
        job_id = f"{name}{max(numbers, default=0) + 1}"
        command = ["python", "-m", "timereel", "index", "--config", _CONFIG, *arguments]
        with TemporaryDirectory() as folder:
            (Path(folder) / _CONFIG).write_text(config.to_json())
            try:
                client.submit_job(
                    submission_id=job_id,
                    entrypoint=shlex.join(command),
                    runtime_env={"working_dir": folder},
                    metadata=dict(metadata),
                    entrypoint_num_cpus=driver.num_cpus,
                    entrypoint_memory=driver.memory_bytes,
                )
            except RuntimeError:
                # Ray gives an id to one job only: another submitter may have been faster.
                if job_id not in {job.submission_id for job in client.list_jobs()}:
                    raise
                return Submitted(job_id, is_new=False)
    return Submitted(job_id, is_new=True)


def follow(client: JobSubmissionClient, job_id: str, on_log: Callable[[str], None]) -> int:
    """Pass on what the job prints, and return its exit code when it has ended.

    Raises:
        UnreachableError: the cluster stopped to answer; the job may go on there.
        ConfigError: the node that ran the job has no timereel.
    """
    with _in_one_sentence(client.get_address()):
        try:
            asyncio.run(_tail(client, job_id, on_log))
        except (RuntimeError, aiohttp.ClientError) as exc:
            on_log(f"the log of {job_id} broke off ({type(exc).__name__}); waiting for its end\n")
        while not (job := client.get_job_info(job_id)).status.is_terminal():
            time.sleep(_POLL_S)
        if job.status == JobStatus.SUCCEEDED:
            return EXIT_OK
        return _exit_code(job, client.get_job_logs(job_id), on_log)


async def _tail(client: JobSubmissionClient, job_id: str, on_log: Callable[[str], None]) -> None:
    async for text in client.tail_job_logs(job_id):
        on_log(text)


def _exit_code(job: JobDetails, log: str, on_log: Callable[[str], None]) -> int:
    """Of a job that has not succeeded, so never 0, whatever the server says that it was."""
    if job.status == JobStatus.STOPPED:
        return EXIT_INTERRUPTED
    code = job.driver_exit_code
    if code == _NOT_FOUND or "No module named timereel" in log:
        raise ConfigError(
            f"job {job.submission_id}: the node that ran it has no timereel, or no python on its "
            "PATH; install timereel on every node of the cluster, as in its image"
        )
    if code is None or code <= 0 or (code > _BY_A_SIGNAL and code != EXIT_INTERRUPTED):
        # The driver was killed, or never began: nothing is wrong with the footage.
        on_log(f"job {job.submission_id} did not end by itself: {job.message}\n")
        return EXIT_INCOMPLETE
    return int(code)


def _name(config: Config, arguments: Sequence[str]) -> str:
    """Begins the ids of all jobs that do this work; settings that decide no answer do not count."""
    text = json.dumps([config.fingerprint, *arguments])
    return f"timereel-{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}-"


@contextmanager
def _in_one_sentence(address: str) -> Iterator[None]:
    shown = masked(address)
    try:
        yield
    except AuthenticationError as exc:
        raise ConfigError(
            f"{shown} refuses the token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or "
            "RAY_AUTH_TOKEN_PATH to the token of the cluster"
        ) from exc
    # Ray looks into an answer before it knows what it is. ValueError stands before OSError, as
    # requests raises both at once for what is no JSON.
    except (ValueError, TypeError, LookupError, AttributeError) as exc:
        raise ConfigError(
            f"{shown} does not answer as a job server of Ray: {_words(exc, address)}"
        ) from exc
    except OSError as exc:
        raise UnreachableError(
            f"{shown} does not answer; is the cluster up, and is this the address of its dashboard?"
        ) from exc
    except RuntimeError as exc:
        raise ConfigError(f"{shown} refuses the job: {_words(exc, address)}") from exc


def _words(exc: Exception, address: str) -> str:
    """The first words of a server, without the address and the token with which it was asked."""
    said = oneline(RuntimeError(str(exc)[:_MAX_READ_CHARS])).replace(address, masked(address))
    return said if len(said) <= _MAX_WORDS_CHARS else f"{said[:_MAX_WORDS_CHARS]}..."
