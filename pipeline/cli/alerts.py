"""``timereel alerts``: tells people and programs what rules find in newly committed events."""

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipeline.cli.options import FormatOption, JsonOption, SetOption
from pipeline.cli.terminal import echo
from pipeline.errors import EXIT_INCOMPLETE, EXIT_INTERRUPTED, EXIT_OK, ConfigError
from pipeline.export.formats import to_json
from pipeline.records.sanitize import sanitized

if TYPE_CHECKING:
    from pipeline.config import Config
    from pipeline.index.store import Store

app = typer.Typer()
alerts_app = typer.Typer(
    help="Tell people and programs what rules find in new events.", no_args_is_help=True
)
app.add_typer(alerts_app, name="alerts")

IndexOption = Annotated[str | None, typer.Option("--index", help="Folder or URL of the index.")]
RulesOption = Annotated[
    Path, typer.Option("--config", help="YAML run configuration with a section alerts.")
]
State = Literal["waiting", "sent", "dropped", "dead"]


@alerts_app.command()
def send(
    config: RulesOption,
    index_uri: IndexOption = None,
    watch: Annotated[
        float | None,
        typer.Option("--watch", metavar="S", min=0.05, max=86_400, help="Again every S seconds."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what is new.")] = False,  # noqa: FBT002 - Typer's form of a flag
    as_json: JsonOption = False,  # noqa: FBT002
    overrides: SetOption = None,
) -> None:
    """Look at what was committed since the last time, and tell what the rules find.

    Exit code 7: a sink did not take a message; the same command tries again when it is due.
    """
    from pipeline.alerts.evaluate import evaluate  # noqa: PLC0415 - a query needs none of it
    from pipeline.alerts.message import Message  # noqa: PLC0415
    from pipeline.alerts.send import send_due  # noqa: PLC0415
    from pipeline.alerts.sinks import open_sink  # noqa: PLC0415

    settings = _settings(config, overrides)
    rules, store = settings.alerts, _store(index_uri, settings)
    if dry_run:
        for alert in evaluate(store, rules, dry_run=True).new:
            one = Message(message_id="", sink=alert.sink, alerts=[alert], timezone=rules.timezone)
            echo(f"{sanitized(alert.sink)}: {one.text}")
        return
    sinks = {name: open_sink(name, sink) for name, sink in rules.sinks.items()}
    try:
        while True:
            found = evaluate(store, rules)
            sent = send_due(store, rules, sinks)
            told = {
                "new": len(found.new),
                "changed": len(found.changed),
                "messages": sent.num_messages,
                "alerts": sent.num_alerts,
                "failed_tries": sent.num_failed,
            }
            if watch is None or any(told.values()):
                echo(to_json(told) if as_json else _sentence(told))
            if watch is None:
                raise typer.Exit(EXIT_INCOMPLETE if sent.num_failed else EXIT_OK)
            time.sleep(watch)
    except KeyboardInterrupt:
        echo("interrupted: run the same command again to continue", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _sentence(told: dict[str, int]) -> str:
    failed = f"; {told['failed_tries']} tries failed" if told["failed_tries"] else ""
    return (
        f"{told['new']} alerts are new, {told['changed']} have grown; sent {told['messages']}"
        f" messages of {told['alerts']} alerts{failed}"
    )


@alerts_app.command("test")
def try_sinks(
    config: RulesOption,
    sink: Annotated[
        list[str] | None, typer.Option("--sink", help="Only this sink; may be repeated.")
    ] = None,
    overrides: SetOption = None,
) -> None:
    """Send a test message to each sink; exit code 7 if one of them does not take it."""
    from datetime import UTC, datetime  # noqa: PLC0415

    from pipeline.alerts.message import Message  # noqa: PLC0415
    from pipeline.alerts.sinks import DeliveryError, open_sink  # noqa: PLC0415
    from pipeline.records import make_id  # noqa: PLC0415

    rules = _settings(config, overrides).alerts
    if unknown := sorted(set(sink or ()) - set(rules.sinks)):
        raise ConfigError(f"--sink {unknown[0]}: alerts.sinks has {', '.join(rules.sinks)}")
    failed = False
    for name in sink or rules.sinks:
        message = Message(
            message_id=make_id("test", name, datetime.now(tz=UTC)),
            sink=name,
            alerts=(),
            timezone=rules.timezone,
            kind="test",
        )
        try:
            open_sink(name, rules.sinks[name])(message)
        except DeliveryError as exc:
            failed = True
            echo(f"{name}: not delivered: {exc}", err=True)
        else:
            echo(f"{name}: delivered")
    raise typer.Exit(EXIT_INCOMPLETE if failed else EXIT_OK)


@alerts_app.command()
def status(
    index_uri: Annotated[str, typer.Option("--index", help="Folder or URL of the index.")],
    state: Annotated[State | None, typer.Option("--state", help="Only alerts of this.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Newest alerts shown.")] = 20,
    output: FormatOption = "table",
) -> None:
    """Count alerts by sink and state, and list the newest."""
    import sys  # noqa: PLC0415

    from pipeline.export.formats import write_rows  # noqa: PLC0415
    from pipeline.index import open_index  # noqa: PLC0415

    rows = open_index(index_uri).rows("alerts", order_by="time", descending=True)
    counts = Counter(zip(rows["sink"].to_pylist(), rows["state"].to_pylist(), strict=True))
    for (sink, one), number in sorted(counts.items()):
        echo(f"{sink}: {number} {one}", err=True)
    if state:
        import pyarrow.compute as pc  # noqa: PLC0415

        rows = rows.filter(pc.field("state") == state)
    write_rows(rows.slice(0, limit), output, sys.stdout.buffer)


@alerts_app.command()
def resend(
    index_uri: Annotated[str, typer.Option("--index", help="Folder or URL of the index.")],
    alert: Annotated[
        list[str] | None, typer.Option("--alert", help="Id of an alert; may be repeated.")
    ] = None,
    state: Annotated[State | None, typer.Option("--state", help="All alerts of a state.")] = None,
) -> None:
    """Let the next ``timereel alerts send`` tell alerts again, as messages with new ids."""
    from pipeline.alerts import send as sending  # noqa: PLC0415
    from pipeline.index.store import Store  # noqa: PLC0415

    if not (alert or state):
        raise ConfigError("resend needs a selection: give --alert ID or --state dead")
    store = Store.at(index_uri)
    store.handle("videos")  # fails if there is no index
    num = sending.resend(store, alert_ids=alert or (), state=state)
    echo(f"{num} will be told again")


def _settings(config: Path, overrides: list[str] | None) -> "Config":
    from pipeline.config import load_config  # noqa: PLC0415

    settings = load_config(config, tuple(overrides or ()))
    if not settings.alerts.sinks:
        raise ConfigError(f"{config}: has no alerts.sinks; docs/guide.md shows some")
    return settings


def _store(index_uri: str | None, settings: "Config") -> "Store":
    from pipeline.index.store import Store  # noqa: PLC0415

    index_uri = index_uri or settings.index
    if not index_uri:
        raise ConfigError("no index: give --index DIR, or set index in the config")
    store = Store.at(index_uri)
    store.handle("videos")  # fails if there is no index
    return store
