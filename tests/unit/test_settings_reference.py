"""The reference of settings: whole, true, the same for the page, the terminal and editors."""

import json
import re

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from pipeline.config import Config, load_config
from pipeline.config.reference import explain, settings
from pipeline.config.reference_formats import to_json_schema, to_markdown, to_text
from pipeline.errors import ConfigError
from tests.conftest import ROOT

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def test_the_page_of_settings_is_what_the_code_says():
    assert (ROOT / "docs" / "settings.md").read_text() == to_markdown(), "run make docs"


def test_every_setting_has_a_description():
    assert [setting.key for setting in settings() if not setting.description] == []


def _keys(value: BaseModel, prefix: str = "") -> list[str]:
    """All keys of a resolved tree, without the names that users choose."""
    keys = []
    for name in type(value).model_fields:
        child = getattr(value, name)
        keys += _keys(child, f"{prefix}{name}.") if isinstance(child, BaseModel) else []
        keys += [] if isinstance(child, BaseModel) else [f"{prefix}{name}"]
    return keys


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_key_of_a_shipped_config_is_in_the_reference(path):
    known = {setting.key for setting in settings()}
    assert set(_keys(load_config(path))) <= known


CHANGES = [
    ("sample.fps", "3"),
    ("sample.max_gap_s", "11"),
    ("frame.luma_width", "128"),
    ("plan.shard_cost_s", "7"),
    ("engine.standing_s", "31"),
    ("stitch.max_gap_s", "3"),
    ("task.max_events", "3"),
    ("decode.max_pixels", "1000"),
    ("sources.timezone", "Europe/Berlin"),
    ("clock.offset_s", "3"),
    ("summaries.max_sentences", "3"),
    ("summaries.level", "day"),
    ("commit.seconds", "3"),
    ("cluster.decode_cpus", "2"),
    ("budget.max_tokens", "3"),
]


@pytest.mark.parametrize(("key", "value"), CHANGES)
def test_what_a_setting_is_said_to_decide_is_what_its_change_does(key, value):
    before, after = load_config(), load_config(None, (f"{key}={value}",))
    [setting] = explain(key)
    assert (setting.decides == "answers") == (before.fingerprint != after.fingerprint)
    if setting.decides == "summaries":
        assert before.summaries_fingerprint != after.summaries_fingerprint
    if setting.decides == "nothing":
        assert before.summaries_fingerprint == after.summaries_fingerprint


def test_a_setting_is_explained_with_its_unit_its_default_and_its_engines():
    [setting] = explain("engine.verify.fps")
    assert setting.engines == ("vllm", "openai")
    assert "default      4.0" in to_text(setting)
    assert "in frames per second" in to_text(setting)
    assert "videos are done again" in to_text(setting)


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("sample.fsp", "sample.fps"), ("verify.fps", "engine.verify.fps"), ("gate", "gate.kind")],
)
def test_a_wrong_key_names_near_ones(wrong, near):
    with pytest.raises(ConfigError, match=rf"{wrong}: there is no such setting.*{near}"):
        explain(wrong)


def _resolve(schema, node):
    return schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node


def test_the_schema_knows_every_section_every_engine_and_refuses_unknown_keys():
    schema = to_json_schema()
    assert set(schema["properties"]) == set(Config.model_fields)
    assert schema["additionalProperties"] is False
    variants = [_resolve(schema, variant) for variant in schema["properties"]["engine"]["anyOf"]]
    assert [variant["properties"]["kind"]["const"] for variant in variants] == [
        "signals",
        "detector",
        "vllm",
        "openai",
        "captions",
        "whisper",
        "openai_speech",
        "vllm_speech",
    ]
    names = re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema))
    assert set(names) <= set(schema["$defs"])


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_config_is_valid_by_the_schema(path):
    tree = yaml.safe_load(path.read_text())
    jsonschema.validate(tree, to_json_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tree | {"sample": {"fsp": 2}}, to_json_schema())


def test_the_commands_print_them(cli):
    assert "sample.fps" in cli.run("config", "explain", "sample.fps")
    assert cli.run("config", "explain", "sample.fsp", code=2) == ""
    assert json.loads(cli.run("config", "schema"))["title"] == "timereel run configuration"
