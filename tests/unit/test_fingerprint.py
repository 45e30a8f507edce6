"""Which settings decide an answer. What is here may change only on purpose: see each test."""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from pipeline.config import Config, load_config
from pipeline.config.section import ByContent, Mark, Operational, Section
from pipeline.engine.openai import OpenAIEngineConfig
from pipeline.engine.vllm import VllmEngineConfig
from pipeline.errors import ConfigError

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"

# If one of these changes, every archive of that kind is done again, by a model that costs money:
# raise ALGORITHM_VERSION (or SUMMARIES_VERSION) on purpose, or leave the fingerprint as it is.
GOLDEN = [
    (None, (), "1c7eb4dd3831fe30", "c14a289d20d3faa8"),
    ("cameras-cpu.yaml", (), "3ac019d3a15bee0d", "c14a289d20d3faa8"),
    ("demo.yaml", (), "d949e8b1e9996738", "848b63cf9e44cecf"),
    ("meeting-cpu.yaml", (), "ef3784179f9e26e8", "c14a289d20d3faa8"),
    ("meeting.yaml", (), "3825502f634b5a00", "d248415662b8ee87"),
    ("signals.yaml", (), "1c7eb4dd3831fe30", "c14a289d20d3faa8"),
    ("surveillance.yaml", (), "4995a257a49d8929", "0efadc51ec580ad8"),
    (
        None,
        ("sample.fps=5", "gate.kind=motion", "decode.max_pixels=1000"),
        "3682457fa6d9c045",
        "c14a289d20d3faa8",
    ),
    (
        "signals.yaml",
        ("engine.standing_s=30", "summaries.max_sentences=3"),
        "bd130360a0c2c21e",
        "0b9740092f6fcd1b",
    ),
    (
        "meeting.yaml",
        ("summaries.instructions=Auf Deutsch",),
        "3825502f634b5a00",
        "1b2c2a35c151e3dc",
    ),
    (
        "surveillance.yaml",
        ("engine.model=qwen3-vl-235b-a22b-thinking-fp8",),
        "bb561f7ba49b1132",
        "db8976633037dea1",
    ),
    (
        "surveillance.yaml",
        ("engine.verify={fps: 8, reach_s: 1.5}", "engine.num_gpus=2"),
        "ff8cda709e24da47",
        "5348005b9e9241e9",
    ),
    (
        "surveillance.yaml",
        (
            "engine.model=org/vlm",
            "engine.frames=images",
            "engine.revision=v2",
            "engine.weights=pipeline/demo/checkpoint",
        ),
        "511a58f6eebc3242",
        "15c1ab16f34d95b4",
    ),
    (
        "meeting.yaml",
        ("engine={kind: openai, model: m, base_url: 'http://here/v1'}",),
        "134c3f0f7f9d2c8e",
        "609bdce47919a32c",
    ),
    (
        "meeting.yaml",
        (
            "engine={kind: openai, model: m, base_url: 'http://here/v1', server: vllm}",
            "engine.jpeg_quality=80",
            "engine.args={top_p: 0.5}",
        ),
        "d1a8f817f0d598e3",
        "274f818646f58b86",
    ),
]


@pytest.mark.parametrize(("name", "overrides", "rows", "summaries"), GOLDEN)
def test_a_release_does_not_send_archives_back_to_the_model(
    monkeypatch, name, overrides, rows, summaries
):
    monkeypatch.chdir(ROOT)  # the demo names its model by a relative path
    config = load_config(CONFIGS / name if name else None, overrides)
    assert (config.fingerprint, config.summaries_fingerprint) == (rows, summaries)


def test_the_golden_fingerprints_are_of_all_shipped_configs():
    assert {name for name, *_ in GOLDEN if name} == {path.name for path in CONFIGS.glob("*.yaml")}


def test_a_setting_without_a_mark_decides_the_answer():
    class Settings(Section):
        fps: float = 1.0
        replicas: Operational[int] = 1

    base = Settings()
    assert base.answering() == {"fps": 1.0}
    assert Settings(fps=2).answering() != base.answering()
    assert Settings(replicas=2).answering() == base.answering()


def test_marks_reach_any_depth_and_stand_beside_bounds():
    class Inner(Section):
        gap_s: float = 1.0
        retries: Operational[int | None] = None

    class Outer(Section):
        inner: Inner = Inner()
        off: Inner | None = None
        where: Operational[Inner] = Inner()

    assert Outer().answering() == {"inner": {"gap_s": 1.0}, "off": None}
    assert Outer(off=Inner(retries=2)).answering()["off"] == {"gap_s": 1.0}


def test_a_model_folder_counts_by_what_it_holds_and_a_name_as_it_is(tmp_path):
    class Settings(Section):
        model: ByContent[str]
        weights: ByContent[str | None] = None

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    here, there = (Settings(model=str(tmp_path / name)) for name in ("a", "b"))
    assert here.answering() == there.answering()
    assert Settings(model="org/name").answering() == {"model": "org/name", "weights": None}


def test_voices_decide_who_speaks_by_what_their_files_hold(tmp_path):
    def fingerprint(folder, *overrides):
        voices = f"speech.voices={{weights: {folder}/v.onnx, speakers: {{Ada: {folder}/ada.wav}}}}"
        whisper = "speech={kind: whisper, weights: w}"
        return load_config(None, (whisper, voices, *overrides)).listening.fingerprint

    for name in ("here", "there", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "v.onnx").write_bytes(b"network")
        (tmp_path / name / "ada.wav").write_bytes(name.replace("there", "here").encode())
    here, there, other = (fingerprint(tmp_path / name) for name in ("here", "there", "other"))
    assert here == there
    assert here != other  # another sample of the same name
    assert here == fingerprint(tmp_path / "here", "speech.voices.threads=4")
    captions = ("speech={kind: captions}", "speech.voices={weights: v.onnx}")
    with pytest.raises(ConfigError, match="captions say who speaks"):
        load_config(None, captions)
    for changed in ("same=0.7", "least_confidence=0.9", "input=samples", "mels=40"):
        assert here != fingerprint(tmp_path / "here", f"speech.voices.{changed}")
    alone = load_config(None, ("speech={kind: whisper, weights: w}",)).listening
    assert alone.fingerprint == "10a3c00e844b4d2c"  # as before voices were told apart


def _sections(section: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Every section that stands in another, by its dotted name."""
    yield path, section
    for name, field in section.model_fields.items():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _sections(kind, f"{path}{name}.")


def _operational(section: type[BaseModel], path: str = "") -> set[str]:
    return {
        f"{inside}{name}"
        for inside, one in _sections(section, path)
        for name, field in one.model_fields.items()
        if Mark.OPERATIONAL in field.metadata
    }


def test_the_settings_that_decide_no_answer_are_these_and_no_others():
    # A new one here says: whatever its value, every row and every summary is the same.
    assert _operational(Config) == {
        *("index", "sources", "speech", "clock", "summaries", "commit", "budget", "cluster"),
        *("alerts", "embedding", "evidence", "retention_days", "summaries.level", "zones"),
        "gate.objects.threads",
        *(f"decode.{limit}" for limit in Config().decode.model_dump()),
    }
    asked = {"replicas", "max_concurrency"}
    assert _operational(VllmEngineConfig) == asked | {"rates"}
    assert _operational(OpenAIEngineConfig) == asked | {
        *("base_url", "api_key_env", "max_requests_per_minute", "max_retries", "timeout_s"),
    }
