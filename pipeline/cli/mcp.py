"""``timereel mcp``: the index for agents that speak the Model Context Protocol."""

import typer

from pipeline.cli.options import ConfigOption, IndexOption, SetOption
from pipeline.index import open_index

app = typer.Typer()


@app.command()
def mcp(index_uri: IndexOption, config: ConfigOption = None, overrides: SetOption = None) -> None:
    """Serve an index to an agent on stdin and stdout, with tools that only read."""
    from pipeline.agents.server import Tools, make_server  # noqa: PLC0415 - a query needs none
    from pipeline.config import load_config  # noqa: PLC0415
    from pipeline.engine.embed import open_embedder  # noqa: PLC0415

    settings = load_config(config, tuple(overrides or ()))
    tools = Tools(
        open_index(index_uri),
        decode=settings.decode,
        access=settings.sources.access,
        embedder=open_embedder(settings.embedding) if settings.embedding else None,
    )
    make_server(tools).run()
