"""Engines are found by name, those of other packages by their entry points; no other is loaded."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config import Config, load_config
from pipeline.config.engine_kind import EngineKind
from pipeline.config.engines import EngineConfig, ModelEngineConfig
from pipeline.config.registry import find_kind
from pipeline.config.task import Task
from pipeline.errors import ConfigError
from tests.plugins import install

PIPELINE = Path(__file__).parents[2] / "pipeline"

PLUGIN = """
from pipeline.config.engine_kind import EngineKind
from pipeline.config.engines import EngineConfig
from pipeline.config.section import Operational

class Settings(EngineConfig):
    level: int = 3
    threads: Operational[int] = 1

KIND = EngineKind(settings=Settings, wants_rgb=False, open_shards=lambda settings, task: settings)
"""


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    install(tmp_path, "level", PLUGIN)
    install(tmp_path, "broken", "import a_package_nobody_has")
    install(tmp_path, "wrong", "KIND = 3")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    find_kind.cache_clear()
    for name in ("level", "wrong"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("plugins")
def test_an_engine_of_another_package_is_configured_like_ours():
    config = load_config(None, ("engine.kind=level", "engine.level=7"))
    assert (config.engine.kind, config.engine.level, config.model) == ("level", 7, "level-1")
    assert not config.asks_a_model
    assert not config.wants_rgb
    assert Config.model_validate_json(config.to_json()) == config
    with pytest.raises(ConfigError, match=r"engine\.level = 'x'"):
        load_config(None, ("engine.kind=level", "engine.level=x"))


@pytest.mark.usefixtures("plugins")
def test_what_of_its_settings_decides_an_answer_is_marked_at_the_field():
    def of(*overrides):
        return load_config(None, ("engine.kind=level", *overrides)).fingerprint

    assert of("engine.level=4") != of()
    assert of("engine.threads=2") == of()


@pytest.mark.usefixtures("plugins")
def test_only_the_engine_that_is_named_is_imported():
    load_config(None, ("engine.kind=level",))
    assert "wrong" not in sys.modules
    with pytest.raises(ConfigError, match=r"kind=broken.*broken:KIND.*a_package_nobody_has"):
        load_config(None, ("engine.kind=broken",))
    with pytest.raises(ConfigError, match=r"kind=wrong.*names int, where an EngineKind is needed"):
        load_config(None, ("engine.kind=wrong",))


@pytest.mark.usefixtures("plugins")
def test_an_engine_that_nobody_has_is_told_with_those_that_there_are():
    with pytest.raises(
        ConfigError,
        match=(
            "one of broken, captions, detector, level, openai, openai_speech, signals, vllm,"
            " vllm_speech, whisper, wrong, "
        ),
    ):
        load_config(None, ("engine.kind=levels",))


QUERY = """
import contextlib, runpy, sys
sys.argv = ["timereel", "query", "--index", "none"]
with contextlib.suppress(SystemExit):
    runpy.run_module("timereel", run_name="__main__")
"""


@pytest.mark.parametrize(
    "code",
    [
        "import pipeline.config; pipeline.config.load_config()",
        "from pipeline.config import load_config as l; l(None, ('engine={kind: vllm, model: m}',))",
        QUERY,
    ],
)
def test_neither_the_config_nor_a_query_imports_a_model(code):
    loaded = "{'torch', 'vllm', 'openai', 'transformers'} & set(__import__('sys').modules)"
    subprocess.run([sys.executable, "-c", f"{code}\nassert not {loaded}"], check=True)


def test_flow_doctor_config_and_commands_name_no_engine():
    files = [
        path
        for part in ("flow", "doctor", "config", "cli", "testing")
        for path in (PIPELINE / part).rglob("*.py")
        # The kinds of embeddings are no engines, though one of them is called like one.
        if path.name not in ("registry.py", "embedding.py")
    ]
    named = re.compile(
        r"vllm|openai(?!-compatible)|['\"=]signals\b|signals engine|Signals[A-Z]", re.IGNORECASE
    )
    found = [
        f"{path.relative_to(PIPELINE)}: {line}"
        for path in files
        for line in path.read_text().splitlines()
        if named.search(line)
    ]
    assert not found


class OfAModel(ModelEngineConfig):
    kind: str = "m"


@pytest.mark.parametrize(
    ("settings", "opens"),
    [
        (EngineConfig, {}),
        (EngineConfig, {"open_model": print}),
        (EngineConfig, {"open_shards": print, "open_text": print}),
        (OfAModel, {"open_shards": print}),
        (OfAModel, {"open_shards": print, "open_model": print}),
        (OfAModel, {"open_text": print}),
    ],
)
def test_an_engine_opens_shards_or_a_model_and_has_settings_to_match(settings, opens):
    with pytest.raises(ValueError, match="extend ModelEngineConfig"):
        EngineKind(settings=settings, wants_rgb=False, **opens)


def test_the_label_of_a_dark_picture_is_one_of_the_task():
    task = Task(name="t", labels={"dark": "no light"})
    kind = {"settings": EngineConfig, "wants_rgb": False, "open_shards": print, "task": task}
    assert EngineKind(**kind, dark_label="dark").task == task
    with pytest.raises(ValueError, match="dark_label=black"):
        EngineKind(**kind, dark_label="black")
