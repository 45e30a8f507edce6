"""The contract holds for our engines and for the one in the docs, and finds what breaks it."""

import os
import subprocess
import sys

import pytest

from pipeline.config import Config, FrameConfig, PlanConfig, SampleConfig, load_config
from pipeline.config.registry import find_kind
from pipeline.testing import check_engine
from tests.plugins import code_of_the_page, install
from tests.unit.test_doctor import others_times, see, through
from tests.videos import make_video

MODEL = """
import json
from pipeline.config.engines import ModelEngineConfig
from pipeline.engine import EngineKind
from pipeline.errors import WindowError
from pipeline.records import Completion


class Settings(ModelEngineConfig):
    model: str = "eyes"
    fault: str = ""


class Eyes:
    def __init__(self, settings, task, frame, plan):
        self.fault = settings.fault

    def shutdown(self):
        pass

    async def answer(self, window):
        if not len(window.rgb):
            if self.fault == "invents":
                return Completion(text='{"events": [], "summary": ""}', finish_reason="stop")
            if self.fault == "sets error":
                return Completion(text="", finish_reason="error", error="no frames")
            raise WindowError("no frames")
        light = window.rgb.mean(axis=(1, 2, 3))
        dark = window.frame_ns[light < light.max() / 2] - window.plan.span.start_ns
        late = 4 if self.fault == "is late" else 0
        event = {"label": "light_off", "start": dark[0] / 1e9 + late, "end": dark[-1] / 1e9 + late}
        return Completion(
            text=json.dumps({"events": [event], "summary": ""}),
            finish_reason="stop",
            num_prompt_tokens=0 if self.fault == "counts nothing" else 100,
            num_output_tokens=10,
        )


KIND = EngineKind(settings=Settings, wants_rgb=True, open_model=Eyes)
"""

SHARDS = """
from pipeline.config import EngineConfig
from pipeline.engine import EngineKind
from pipeline.records import Completion


class Silent:
    def __init__(self, settings, task):
        pass

    def answer(self, windows):
        for window in windows:
            if len(window.luma):
                yield Completion(text='{"events": [], "summary": ""}', finish_reason="stop")


KIND = EngineKind(settings=EngineConfig, wants_rgb=False, open_shards=Silent)
"""


def config_of(engine) -> Config:
    return Config(
        sample=SampleConfig(fps=2),
        plan=PlanConfig(max_window_frames=24),
        frame=FrameConfig(rgb_max_pixels=160 * 96),
        engine=engine,
    )


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """A folder on the path of this process and of those it starts."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    yield folder
    find_kind.cache_clear()
    for path in folder.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_signals_keeps_the_contract():
    check_engine(load_config())


def test_an_endpoint_keeps_the_contract(serve):
    pytest.importorskip("openai")
    settings = {"kind": "openai", "model": "m", "base_url": serve((200, see)).url}
    check_engine(config_of(settings))


def test_an_endpoint_whose_times_are_shifted_breaks_it(serve):
    pytest.importorskip("openai")
    endpoint = serve((200, through(others_times)))
    with pytest.raises(AssertionError, match=r"times: .*\+3\.00 s in the median"):
        check_engine(config_of({"kind": "openai", "model": "m", "base_url": endpoint.url}))


@pytest.mark.parametrize("fault", ["", "sets error"])
def test_a_window_may_fail_either_way(packages, fault):
    install(packages, "eyes", MODEL)
    check_engine(config_of({"kind": "eyes", "fault": fault}))


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("invents", "failures: a window without any frame was answered"),
        ("counts nothing", "tokens: an answer counts 0 of its prompt and 10 of its own"),
        ("is late", r"times: 0 of 6 .*\+4\.00 s in the median"),
    ],
)
def test_a_model_that_breaks_the_contract_is_told_how(packages, fault, told):
    install(packages, "eyes", MODEL)
    with pytest.raises(AssertionError, match=told):
        check_engine(config_of({"kind": "eyes", "fault": fault}))


def test_an_engine_of_shards_answers_every_window(packages):
    install(packages, "silent", SHARDS)
    with pytest.raises(AssertionError, match="failures: 1 answers came for 2 windows"):
        check_engine(config_of({"kind": "silent"}))


def test_the_engine_of_the_docs_keeps_the_contract_as_its_own_test_says(packages):
    engine, test = code_of_the_page()
    assert len(engine.splitlines()) <= 60
    install(packages, "brightness", engine)
    file = packages / "test_brightness.py"
    file.write_text(test)
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider"]
    subprocess.run([*command, file], cwd=packages, check=True)


def test_what_the_docs_say_of_its_settings_is_so(packages):
    install(packages, "brightness", code_of_the_page()[0])
    base = load_config(None, ("engine.kind=brightness",))
    assert set(base.task.labels) == {"dark"}

    def of(setting):
        return load_config(None, ("engine.kind=brightness", setting)).fingerprint

    assert of("engine.below=30") != base.fingerprint
    assert of("engine.log_every=1") == base.fingerprint


@pytest.mark.ray
def test_the_engine_of_the_docs_indexes_a_clip(packages, tmp_path, cli):
    install(packages, "brightness", code_of_the_page()[0])
    # Each picture has as many white squares of sixteen as its number has bits: below 24 has one.
    clip = make_video(tmp_path / "v.mp4", num_frames=20, rate=10)
    index = tmp_path / "index"
    settings = ("engine.kind=brightness", "engine.below=24", "stitch.max_gap_s=0")
    options = [part for one in settings for part in ("--set", one)]
    cli.run("index", clip, "--index", index, *options)
    events = cli.rows("query", "--index", index)
    assert {event["label"] for event in events} == {"dark"}
    assert [(event["media_start"], event["media_end"]) for event in events] == [
        (0.0, 0.3), (0.4, 0.5), (0.8, 0.9), (1.6, 1.7),
    ]  # fmt: skip
