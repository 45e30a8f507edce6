"""The commands that maintain an index: ``compact``, ``vacuum``, ``erase``, ``check``, ``maintain``.

Each of them except ``check`` prints one JSON object that says what it did.
"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli.options import IndexOption, JsonOption
from pipeline.cli.terminal import echo
from pipeline.errors import EXIT_DAMAGED, EXIT_OK, ConfigError
from pipeline.export.formats import to_json
from pipeline.records.sanitize import sanitized

app = typer.Typer()

_MAX_HOURS = 1_000_000

SettledOption = Annotated[
    float,
    typer.Option(
        "--settled-hours", min=0, max=_MAX_HOURS, help="Skip dates that changed since then."
    ),
]
RetentionOption = Annotated[
    int,
    typer.Option(
        "--retention-hours",
        min=0,
        max=_MAX_HOURS,
        help="Keep files that jobs and readers may need which began since; 0 if none are running.",
    ),
]


@app.command()
def compact(index_uri: IndexOption, settled_hours: SettledOption = 1.0) -> None:
    """Merge and sort the files of each date; safe while others read and write."""
    from pipeline.index import maintain  # noqa: PLC0415

    done = maintain.compact(_store(index_uri), min_age=timedelta(hours=settled_hours))
    _print({"compacted_dates": done})


@app.command()
def vacuum(index_uri: IndexOption, retention_hours: RetentionOption = 168) -> None:
    """Remove files that were replaced; by default those replaced more than a week ago."""
    from pipeline.index import maintain  # noqa: PLC0415

    done = maintain.vacuum(_store(index_uri), retention=timedelta(hours=retention_hours))
    _print({"removed_files": done})


@app.command()
def erase(
    index_uri: IndexOption,
    video: Annotated[
        list[str] | None, typer.Option("--video", help="Id or whole uri, or a glob of uris.")
    ] = None,
    camera: Annotated[list[str] | None, typer.Option("--camera", help="Camera, or a glob.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="T", help="ISO 8601; without a zone: UTC.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="T", help="Exclusive end.")] = None,
    speaker: Annotated[
        list[str] | None, typer.Option("--speaker", help="Only what this speaker says.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,  # noqa: FBT002 - Typer's form of a flag
) -> None:
    """Erase the rows that match all of the given videos, cameras, range and speakers.

    Jobs do not index that footage again, unless with index --include-erased. The next vacuum
    removes the replaced files when they are old enough, or at once with --retention-hours 0.
    """
    from pipeline.index.erase import erase as erase_rows  # noqa: PLC0415
    from pipeline.index.erase import would_erase  # noqa: PLC0415
    from pipeline.index.scope import Scope  # noqa: PLC0415

    options = {"video": video, "camera": camera, "from": start, "to": end, "speaker": speaker}
    if not any(options.values()):
        raise ConfigError(
            "erase needs a selection: give --video, --camera, --from, --to or --speaker"
        )
    scope = Scope.parse(video, camera, start, end, speaker=speaker)
    receipt = (would_erase if dry_run else erase_rows)(_store(index_uri), scope)
    if not (receipt["videos"] or any(receipt["rows"].values())):
        echo(
            "nothing matches; --video is an id, a whole uri or a glob of uris, --speaker is a whole"
            " name as query --table utterances lists it",
            err=True,
        )
    if waits_for := receipt.get("waits_for"):
        echo(
            "these runs are indexing now; what they commit of it is erased at each commit:"
            f" {', '.join(waits_for)}",
            err=True,
        )
    selection = {name: value for name, value in options.items() if value}
    _print({"asked": selection, "dry_run": dry_run} | receipt)


@app.command()
def check(
    index_uri: IndexOption,
    repair: Annotated[bool, typer.Option("--repair", help="Repair what is wrong.")] = False,  # noqa: FBT002
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Check that an index is complete, readable and consistent; exit code 8 if not.

    Repair only while no job writes. Files that cannot be read are moved aside; the next run of
    index analyses again what was lost with them.
    """
    from pipeline.index.check import check as check_index  # noqa: PLC0415
    from pipeline.index.store import Store  # noqa: PLC0415

    store = Store.at(index_uri)
    if repair:
        from pipeline.flow.driver.rederive import derive  # noqa: PLC0415 - imports the parsers
        from pipeline.index.repair import repair as repair_index  # noqa: PLC0415

        findings = repair_index(store, derive)
    else:
        findings = check_index(store)
    if as_json:
        _print({"repaired": repair, "found": [finding.to_json() for finding in findings]})
    else:
        for finding in findings:
            echo(sanitized(str(finding)))
        echo(_check_result(len(findings), is_repaired=repair))
    raise typer.Exit(EXIT_DAMAGED if findings and not repair else EXIT_OK)


def _check_result(num_findings: int, *, is_repaired: bool) -> str:
    if not num_findings:
        return "sound: the index is complete, readable and consistent"
    if is_repaired:
        return f"{num_findings} repaired; run timereel index again for what was lost"
    return f"{num_findings} found; --repair repairs them"


@app.command()
def maintain(
    index_uri: Annotated[
        str | None, typer.Option("--index", help="Folder or URL of the index.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML run configuration, for retention_days.")
    ] = None,
    settled_hours: SettledOption = 1.0,
    retention_hours: RetentionOption = 168,
) -> None:
    """Erase what is older than retention_days, compact and vacuum: for every night."""
    from pipeline.config import load_config  # noqa: PLC0415
    from pipeline.index import maintain as maintenance  # noqa: PLC0415
    from pipeline.index.erase import erase_older  # noqa: PLC0415
    from pipeline.index.query import Index  # noqa: PLC0415

    settings = load_config(config)
    index_uri = index_uri or settings.index
    if not index_uri:
        raise ConfigError("no index: give --index DIR, or set index in the config")
    store = _store(index_uri)
    cameras = Index(store).known_cameras()
    _print(
        {
            "erased": erase_older(store, settings.knowing(cameras).keep_days),
            "compacted_dates": maintenance.compact(store, min_age=timedelta(hours=settled_hours)),
            "removed_files": maintenance.vacuum(store, retention=timedelta(hours=retention_hours)),
        }
    )


def _store(index_uri: str) -> Any:  # noqa: ANN401 - Store, without importing it here
    from pipeline.index.store import Store  # noqa: PLC0415

    store = Store.at(index_uri)
    store.handle("videos")  # fails if there is no index
    return store


def _print(receipt: dict[str, Any]) -> None:
    echo(to_json(receipt))
