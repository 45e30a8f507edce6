"""``timereel submit``: an index run as a job of a Ray cluster."""

import os
from typing import Annotated

import typer

from pipeline.cli.options import ConfigOption, SetOption, SinceOption, locations_of
from pipeline.cli.terminal import echo
from pipeline.errors import EXIT_INTERRUPTED, ConfigError, FailOn

app = typer.Typer()


@app.command()
def submit(
    src: Annotated[
        list[str] | None, typer.Argument(help="Files, folders, globs, URLs, list files.")
    ] = None,
    index_uri: Annotated[
        str | None, typer.Option("--index", help="Folder or URL of the index.")
    ] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    since: SinceOption = None,
    shard: Annotated[
        str | None,
        typer.Option("--shard", metavar="N/M", help="Only the cameras of part N of M, as 3/16."),
    ] = None,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="Which failed files make the exit code 4.")
    ] = "new",
    keep: Annotated[  # noqa: FBT002 - Typer's form of a flag
        bool, typer.Option("--keep", help="Keep answers of other settings.")
    ] = False,
    retry_failed: Annotated[  # noqa: FBT002
        bool, typer.Option("--retry-failed", help="Ask again where the engine failed to answer.")
    ] = False,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster", envvar="RAY_ADDRESS", help="The dashboard, such as http://head:8265."
        ),
    ] = None,
    wait: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--wait/--no-wait", help="Show its log, and end with the job's exit code."),
    ] = True,
    metadata: Annotated[
        list[str] | None,
        typer.Option("--metadata", metavar="KEY=VALUE", help="Kept in the table runs."),
    ] = None,
    driver_cpus: Annotated[
        float, typer.Option("--driver-cpus", min=0, help="CPUs that the driver reserves.")
    ] = 0,
    driver_memory_bytes: Annotated[
        int, typer.Option("--driver-memory-bytes", min=0, help="Memory that the driver reserves.")
    ] = 0,
) -> None:
    """Run an index run as a job of a Ray cluster; prints its id, and on stderr its log."""
    from pipeline.config import load_config  # noqa: PLC0415
    from pipeline.sources import CameraShard  # noqa: PLC0415

    settings = load_config(config, tuple(overrides or ()))
    index_uri = index_uri or settings.index
    if not index_uri:
        raise ConfigError("no index: give --index DIR, or set index in the config")
    if not cluster:
        raise ConfigError("no cluster: give --cluster http://head:8265, or set RAY_ADDRESS")
    if shard:
        CameraShard.parse(shard)
    arguments = ["--index", _on_any_node(index_uri), "--fail-on", fail_on]
    arguments += ["--since", since] if since else []
    arguments += ["--shard", shard] if shard else []
    arguments += ["--keep"] if keep else []
    arguments += ["--retry-failed"] if retry_failed else []
    arguments += ["--", *sorted(map(_on_any_node, locations_of(src, settings)))]

    from pipeline.flow import submission  # noqa: PLC0415 - imports Ray, after all checks

    client = submission.connect(cluster)
    driver = submission.Driver(num_cpus=driver_cpus, memory_bytes=driver_memory_bytes)
    job = submission.submit(client, settings, arguments, driver, _pairs(metadata or []))
    if not job.is_new:
        echo(f"this work runs or waits already, as job {job.job_id}", err=True)
    echo(job.job_id)
    if not wait:
        return
    try:
        code = submission.follow(client, job.job_id, lambda text: echo(text.rstrip("\n"), err=True))
    except KeyboardInterrupt:
        echo(f"the job goes on; ray job stop {job.job_id} ends it", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    raise typer.Exit(code)


def _on_any_node(location: str) -> str:
    """A job begins in a folder of its own, so a relative path would mean something else there."""
    return location if "://" in location else os.path.abspath(location)  # noqa: PTH100 - no resolving


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = dict(text.partition("=")[::2] for text in texts if text.partition("=")[0])
    if len(pairs) < len(texts) or not all("=" in text for text in texts):
        raise ConfigError(f"--metadata {' '.join(texts)}: give each as key=value, each key once")
    return pairs
