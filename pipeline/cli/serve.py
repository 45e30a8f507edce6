"""The commands that show an index as a page: one of your own, or that of the shipped clip."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.terminal import echo
from pipeline.errors import ConfigError

app = typer.Typer()

TokenOption = Annotated[bool, typer.Option("--token", help="Ask for a token on loopback, too.")]
PortOption = Annotated[int, typer.Option("--port", min=1, max=65_535)]
ReadOnlyOption = Annotated[bool, typer.Option("--read-only", help="Nobody can review.")]


@app.command()
def serve(
    index_uri: Annotated[
        list[str], typer.Option("--index", help="Folder or URL of the index; may be repeated.")
    ],
    host: Annotated[
        str, typer.Option("--host", help="Address; any but loopback asks for a token.")
    ] = "127.0.0.1",
    port: PortOption = 8765,
    root: Annotated[
        list[str] | None,
        typer.Option("--root", help="Recordings are opened only below this; may be repeated."),
    ] = None,
    source_host: Annotated[
        list[str] | None,
        typer.Option("--source-host", help="Web server of recordings whose address is private."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", help="Another name of this server, as behind a proxy."),
    ] = None,
    token: TokenOption = False,  # noqa: FBT002
    read_only: ReadOnlyOption = False,  # noqa: FBT002
    zone: Annotated[
        str, typer.Option("--zone", help="Time zone in which the page first shows times.")
    ] = "UTC",
    max_decodes: Annotated[
        int, typer.Option("--max-decodes", min=1, max=64, help="Clips made at once.")
    ] = 2,
) -> None:
    """Show an index as a page: timeline, events, player and review; with a JSON API."""
    try:
        from pipeline.see import server  # noqa: PLC0415 - needs the extra `serve`
    except ImportError as exc:
        raise ConfigError(f"the page needs {exc.name}: pip install 'timereel[serve]'") from exc
    server.serve(
        server.ServeOptions(
            indexes=index_uri,
            host=host,
            port=port,
            roots=root or (),
            source_hosts=source_host or (),
            allowed_hosts=allow_host or (),
            with_token=token,
            read_only=read_only,
            zone=zone,
            max_decodes=max_decodes,
        ),
        echo,
    )


_ONLY_MOTION = (
    "The clip is searched for motion. For persons with boxes, run this in a checkout of timereel "
    "after pip install '.[detector]'."
)


def detector_of(repository: Path) -> tuple[Path, list[str]] | None:
    """The config that finds persons, and its overrides; None if they cannot be found here."""
    config, model = repository / "configs/cameras-cpu.yaml", repository / "models/nanodet-g"
    if not (config.is_file() and model.is_dir() and find_spec("onnxruntime")):
        return None
    return config, [f"engine.model={model}"]


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder of the index.")] = Path("demo-index"),
    serve_it: Annotated[bool, typer.Option("--serve", help="Then open its page.")] = False,  # noqa: FBT002
    port: PortOption = 8765,
) -> None:
    """Index the clip that comes with timereel: persons, or else motion; --serve opens the page."""
    from pipeline import demo as shipped  # noqa: PLC0415
    from pipeline.cli.index import index  # noqa: PLC0415

    clip = Path(shipped.__file__).with_name("lobby.mp4")
    config, overrides = detector_of(Path.cwd()) or detector_of(clip.parents[2]) or (None, [])
    if config is None:
        echo(_ONLY_MOTION, err=True)
    try:
        index([str(clip)], str(out), config=config, overrides=overrides)
    except typer.Exit as ended:
        if ended.exit_code or not serve_it:
            raise
    serve([str(out)], port=port)
