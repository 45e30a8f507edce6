"""The reference of settings as text, as the page docs/settings.md, and as JSON schema."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from pipeline.config.engines import EngineConfig
from pipeline.config.reference import ENGINE, REQUIRED, Setting, descriptions, nested, settings
from pipeline.config.registry import DEFAULT_KIND, find_kind, known_kinds
from pipeline.config.tree import Config


def to_text(setting: Setting) -> str:
    """One setting as lines for a terminal."""
    engines = f" (engine: {', '.join(setting.engines)})" if setting.engines else ""
    unit = f", in {setting.unit}" if setting.unit else ""
    changes = {
        "answers": "yes: videos are done again",
        "summaries": "no, but summaries are written again",
        "nothing": "no",
    }
    return "\n".join(
        (
            f"{setting.key}{engines}",
            f"  {setting.description}",
            f"  type         {setting.type}{unit}",
            f"  default      {setting.default}",
            f"  fingerprint  {changes[setting.decides]}",
        )
    )


def to_markdown() -> str:
    """The page docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "`make docs` writes this page. `timereel config explain KEY` prints one row of it.",
        "",
        "The column *decides* says what a changed setting makes anew. *answers*: it is part of the",
        "fingerprint, and videos are done again. *summaries*: only summaries are written again.",
        "*nothing*: the answers are the same. `sources` and `clock` decide the camera and the time",
        "of a video; both are part of the video's id, and not of the fingerprint.",
    ]
    heading = ""
    for setting in settings():
        section = setting.key.partition(".")[0]
        if section != heading:
            heading = section
            lines += ["", f"## {section}", "", "| key | type | default | decides | description |"]
            lines += ["|---|---|---|---|---|"]
        unit = f", {setting.unit}" if setting.unit else ""
        engines = f" *({', '.join(setting.engines)})*" if setting.engines else ""
        cells = (
            f"`{setting.key}`{engines}",
            f"{setting.type}{unit}",
            setting.default if setting.default == REQUIRED else f"`{setting.default}`",
            setting.decides,
            setting.description,
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def to_json_schema() -> dict[str, Any]:
    """JSON schema of a config file, for editors."""
    engines: list[type[BaseModel]] = [find_kind(kind).settings for kind in known_kinds()]
    models: list[type[BaseModel]] = [Config, *engines]
    _, schema = models_json_schema([(model, "validation") for model in models])
    definitions = schema["$defs"]
    for section in _sections(Config, *engines):
        for name, text in descriptions(section).items():
            definitions[section.__name__]["properties"][name]["description"] = text
    root = definitions.pop(Config.__name__)
    del definitions[EngineConfig.__name__]  # what every engine has; a file names one of them
    for engine in engines:
        own = definitions[engine.__name__]
        if engine is not find_kind(DEFAULT_KIND).settings:
            own["required"] = sorted({*own.get("required", ()), "kind"})
    variants = [{"$ref": f"#/$defs/{engine.__name__}"} for engine in engines]
    root["properties"][ENGINE] = {"anyOf": variants}
    task = {"type": "string", "description": "Path of a task file, relative to this file."}
    root["properties"]["task"] = {"anyOf": [task, {"$ref": "#/$defs/Task"}]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **root,
        "title": "timereel run configuration",
        "$defs": definitions,
    }


def _sections(*roots: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for root in roots:
        yield root
        for name, field in root.model_fields.items():
            if not (root is Config and name == ENGINE):
                yield from _sections(*(child for child, _ in nested(field.annotation)))
