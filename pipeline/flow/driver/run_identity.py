"""Names a run: its process, the Ray job it was submitted as, and its settings. No Ray here."""

import json
import os
import secrets
import socket
from datetime import UTC, datetime
from importlib.metadata import version

from pipeline.config.engines import may_name_a_key
from pipeline.processes import identity
from pipeline.records import Run, Work
from pipeline.sources import CameraShard

# Ray sets this variable for a submitted driver: the job's id and the submitter's metadata, as JSON.
_JOB_CONFIG = "RAY_JOB_CONFIG_JSON_ENV_VAR"
_JOB_ID = "job_submission_id"


def new_run(
    task: str,
    fingerprint: str,
    *works: Work,
    shard: CameraShard | None = None,
    keep: bool = False,
) -> Run:
    """This process as a run that begins now and has no leases yet."""
    now = datetime.now(tz=UTC)
    metadata = json.loads(os.environ.get(_JOB_CONFIG, "{}")).get("metadata") or {}
    return Run(
        run_id=secrets.token_hex(6),
        start=now,
        heartbeat_at=now,
        host=socket.gethostname(),
        pid=os.getpid(),
        process=identity.unique_name(),
        job_id=metadata.get(_JOB_ID),
        job_metadata={
            name: "***" if may_name_a_key(name) else value
            for name, value in metadata.items()
            if name != _JOB_ID
        },
        task=task,
        works=works,
        fingerprint=fingerprint,
        version=version("timereel"),
        keep=keep,
        shard=str(shard) if shard else None,
    )
