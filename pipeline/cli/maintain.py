"""``timereel compact | vacuum | erase | check | maintain``: an index is kept small, lawful, whole.

Each but ``check`` prints one JSON object that says what was done.
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli.options import IndexOption, JsonOption
from pipeline.errors import EXIT_DAMAGED, EXIT_OK, ConfigError
from pipeline.records.sanitize import sanitized

app = typer.Typer()

_MAX_HOURS = 1_000_000

SettledOption = Annotated[
    float,
    typer.Option(
        "--settled-hours", min=0, max=_MAX_HOURS, help="Leave dates alone that changed since."
    ),
]
RetentionOption = Annotated[
    int,
    typer.Option(
        "--retention-hours",
        min=0,
        max=_MAX_HOURS,
        help="Keep what jobs and readers that began since may need; 0 only when there are none.",
    ),
]


@app.command()
def compact(index_uri: IndexOption, settled_hours: SettledOption = 1.0) -> None:
    """Rewrite dates that lie in several files, sorted; safe while others read and write."""
    from pipeline.index import maintain  # noqa: PLC0415

    done = maintain.compact(_store(index_uri), settled=timedelta(hours=settled_hours))
    _print({"compacted_dates": done})


@app.command()
def vacuum(index_uri: IndexOption, retention_hours: RetentionOption = 168) -> None:
    """Remove files that have been replaced; by default those that were a week ago."""
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,  # noqa: FBT002 - Typer's form of a flag
) -> None:
    """Erase rows of these videos, of these cameras, in this range; what is given must all hold.

    Jobs do not index it again unless told to (index --include-erased). The replaced files go with
    the next vacuum that reaches them: at once with --retention-hours 0.
    """
    from pipeline.index.erase import erase as erase_rows  # noqa: PLC0415
    from pipeline.index.erase import would_erase  # noqa: PLC0415
    from pipeline.index.scope import Scope  # noqa: PLC0415

    if not (video or camera or start or end):
        raise ConfigError("erase what? give --video, --camera, --from or --to")
    scope = Scope.parse(video, camera, start, end)
    asked = {"video": video, "camera": camera, "from": start, "to": end}
    receipt = (would_erase if dry_run else erase_rows)(_store(index_uri), scope)
    if not (receipt["videos"] or any(receipt["rows"].values())):
        typer.echo("nothing matches; --video is an id, a whole uri or a glob of uris", err=True)
    if waits_for := receipt.get("waits_for"):
        typer.echo(
            f"what runs at work bring back is erased as they commit it: {', '.join(waits_for)}",
            err=True,
        )
    given = {name: value for name, value in asked.items() if value}
    _print({"asked": given, "dry_run": dry_run} | receipt)


@app.command()
def check(
    index_uri: IndexOption,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what is wrong.")] = False,  # noqa: FBT002
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Look whether all of an index is there, can be read, and agrees; exit code 8 if not.

    Repair while nobody writes. What cannot be read is set aside; the next index asks again what was
    lost with it.
    """
    from pipeline.index.check import check as look  # noqa: PLC0415
    from pipeline.index.store import Store  # noqa: PLC0415

    store = Store.at(index_uri)
    if repair:
        from pipeline.flow.driver.rederive import derive  # noqa: PLC0415 - with all that reads answers
        from pipeline.index.repair import repair as mend  # noqa: PLC0415

        found = mend(store, derive)
    else:
        found = look(store)
    if as_json:
        _print({"repaired": repair, "found": [finding.to_json() for finding in found]})
    else:
        for finding in found:
            typer.echo(sanitized(str(finding)))
        typer.echo(_told_of_check(len(found), is_repaired=repair))
    raise typer.Exit(EXIT_DAMAGED if found and not repair else EXIT_OK)


def _told_of_check(num_found: int, *, is_repaired: bool) -> str:
    if not num_found:
        return "sound: all of it is there, can be read, and agrees"
    if is_repaired:
        return f"{num_found} repaired; run timereel index again for what was lost"
    return f"{num_found} found; --repair mends them"


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
    """Erase what is past its retention_days, compact, vacuum: what should run every night."""
    from pipeline.config import load_config  # noqa: PLC0415
    from pipeline.index import maintain as upkeep  # noqa: PLC0415
    from pipeline.index.erase import erase_older  # noqa: PLC0415
    from pipeline.index.query import Index  # noqa: PLC0415

    settings = load_config(config)
    if not (where := index_uri or settings.index):
        raise ConfigError("no index: give --index DIR, or set index in the config")
    store = _store(where)
    cameras = Index(store).known_cameras()
    _print(
        {
            "erased": erase_older(store, settings.knowing(cameras).keep_days),
            "compacted_dates": upkeep.compact(store, settled=timedelta(hours=settled_hours)),
            "removed_files": upkeep.vacuum(store, retention=timedelta(hours=retention_hours)),
        }
    )


def _store(index_uri: str) -> Any:  # noqa: ANN401 - Store, without importing it here
    from pipeline.index.store import Store  # noqa: PLC0415

    store = Store.at(index_uri)
    store.handle("videos")  # refuses what is no index
    return store


def _print(receipt: dict[str, Any]) -> None:
    typer.echo(json.dumps(receipt, ensure_ascii=False))
