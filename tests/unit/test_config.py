from pathlib import Path
from typing import get_args

import pytest
import yaml

from pipeline.config import Config, config_for_stored, load_config
from pipeline.config.section import Section
from pipeline.config.task import Task
from pipeline.engine.signals import SIGNALS_TASK
from pipeline.errors import ConfigError

CONFIGS = Path(__file__).parents[2] / "configs"


def write(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_unknown_key_is_refused_by_its_full_name(tmp_path):
    with pytest.raises(ConfigError, match=r"sample\.fsp = 2: there is no such setting"):
        load_config(write(tmp_path, "sample: {fsp: 2}"))


def _numbers(section=Config, path=""):
    """Every setting that is a number with a fraction, by its dotted name."""
    for name, field in section.model_fields.items():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, Section):
                yield from _numbers(kind, f"{path}{name}.")
            elif kind is float:
                yield f"{path}{name}"


NUMBERS = sorted({*_numbers(), "retention_days.cam1"})
TIMES = [key for key in NUMBERS if key.endswith(("_s", "seconds")) or "days" in key]


@pytest.mark.parametrize(
    ("key", "value"),
    [(key, value) for key in NUMBERS for value in (".inf", "-.inf", ".nan")]
    + [(key, "1e11") for key in TIMES if "_per_" not in key]
    # The grid counts in fractions of at most 1001: a slower one would be another.
    + [("sample.fps", "0.0009")],
)
def test_a_number_that_no_setting_can_mean_is_refused_by_name(key, value):
    with pytest.raises(ConfigError, match=rf"\n  {key.split('.')[0]}\."):
        load_config(None, (f"{key}={value}",))


def test_every_wrong_key_is_told_at_once(tmp_path):
    with pytest.raises(ConfigError) as told:
        load_config(write(tmp_path, "sample: {fps: -1}\nstitch: {max_gap_s: x}"))
    assert "sample.fps = -1" in str(told.value)
    assert "stitch.max_gap_s = 'x'" in str(told.value)


@pytest.mark.parametrize(
    "engine", ["vllm", "''", "null", "3", "[vllm]", "{kind: vlm}", "{kind: null}", "{kind: [vllm]}"]
)
def test_an_engine_that_is_none_is_refused_with_its_value_and_the_way_out(tmp_path, engine):
    with pytest.raises(ConfigError) as told:
        load_config(write(tmp_path, f"engine: {engine}"))
    assert f"engine = {yaml.safe_load(engine)!r}: must be a section" in str(told.value)
    assert (
        "one of captions, detector, openai, openai_speech, signals, vllm, vllm_speech, whisper,"
        " such as engine:" in str(told.value)
    )


@pytest.mark.parametrize("value", ["words", "3", "[1]", "true"])
@pytest.mark.parametrize("section", sorted({*Config.model_fields} - {"index", "task"}))
def test_a_section_that_holds_a_value_instead_is_refused_by_name(tmp_path, section, value):
    with pytest.raises(ConfigError, match=rf"\n  {section} = "):
        load_config(write(tmp_path, f"{section}: {value}"))


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2", "just words"])
def test_what_is_no_settings_tree_is_refused_with_the_file(tmp_path, text):
    with pytest.raises(ConfigError, match=r"run\.yaml"):
        load_config(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.yaml: cannot be read"):
        load_config(tmp_path / "gone.yaml")


def test_overrides_reach_any_depth_and_are_validated(tmp_path):
    path = write(tmp_path, "sample: {fps: 2}")
    assert load_config(path, ("sample.fps=5",)).sample.fps == 5
    assert load_config(path, ("commit.shards=7",)).commit.shards == 7
    with pytest.raises(ConfigError, match="must look like"):
        load_config(path, ("sample.fps",))
    with pytest.raises(ConfigError, match=r"sample\.fps = 'fast'"):
        load_config(path, ("sample.fps=fast",))
    with pytest.raises(ConfigError, match="is a value, not a section"):
        load_config(path, ("sample.fps.x=1",))


def test_a_task_file_is_found_beside_the_config(tmp_path):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "t.yaml").write_text("name: t\nlabels: {fall: someone falls}")
    config = load_config(write(tmp_path, "task: tasks/t.yaml"))
    assert config.task.labels == {"fall": "someone falls"}


def test_an_override_reaches_into_a_task_file(tmp_path):
    (tmp_path / "a.yaml").write_text("name: a\nlabels: {fall: someone falls}\nfields: {text: {}}")
    (tmp_path / "b.yaml").write_text("name: b\nlabels: {fall: someone falls}")
    path = write(tmp_path, "task: a.yaml")
    task = load_config(path, ("task.max_events=3", "task.fields.text.max_chars=7")).task
    assert (task.name, task.max_events, task.fields["text"].max_chars) == ("a", 3, 7)
    task = load_config(path, ("task=b.yaml", "task.max_events=3")).task
    assert (task.name, task.max_events) == ("b", 3)
    task = load_config(path, ("task.max_events=3", "task=b.yaml")).task
    assert (task.name, task.max_events) == ("b", Task.model_fields["max_events"].default)


def test_an_override_reaches_into_the_task_that_runs_by_default(tmp_path):
    expected = SIGNALS_TASK.model_copy(update={"max_events": 3})
    assert load_config(None, ("task.max_events=3",)).task == expected
    assert load_config(write(tmp_path, "sample: {fps: 2}"), ("task.max_events=3",)).task == expected


@pytest.mark.parametrize("off", ["null", ""])
def test_an_override_reaches_into_a_section_that_is_off(tmp_path, off):
    path = write(tmp_path, f"embedding: {off}\nsample: {off}\n")
    overrides = ("embedding.base_url=http://here/v1", "embedding.model=m", "sample.fps=3")
    config = load_config(path, overrides)
    assert config.embedding
    assert (config.embedding.model, config.sample.fps) == ("m", 3)
    assert config_for_stored(Config().to_json(), overrides) == load_config(None, overrides)


def test_the_fingerprint_follows_what_changes_answers_and_nothing_else():
    base = Config()
    assert base.fingerprint == Config().fingerprint

    def of(*overrides):
        return load_config(None, overrides).fingerprint

    assert of("sample.fps=5") != base.fingerprint
    assert of("engine.min_event_s=1") != base.fingerprint
    assert of("cluster.decode_cpus=2") == base.fingerprint
    assert of("commit.seconds=1") == base.fingerprint
    assert of("index=elsewhere") == base.fingerprint


def test_the_ids_of_the_shipped_questions_stay():
    asked = load_config(None, ("engine={kind: vllm, model: m}", "task.boxes=true", "task.prompt=p"))
    assert Config().prompt_id == "c96970fe81cd9e2e"
    assert load_config(CONFIGS / "demo.yaml").prompt_id == "776e1041cd909861"
    assert (asked.fingerprint, asked.prompt_id) == ("6f736c6a9042d163", "600865a7aef77275")


def test_what_the_model_is_told_of_a_field_decides_its_answers():
    def of(description):
        return load_config(None, (f"task.fields={{text: {{description: '{description}'}}}}",))

    assert of("one word").fingerprint != of("one sentence").fingerprint
    assert of("one word").prompt_id != of("one sentence").prompt_id


def test_the_prompt_has_an_id_of_its_own():
    other = load_config(None, ("task={name: t, labels: {a: b}, prompt: 'What?'}",))
    assert other.prompt_id != Config().prompt_id


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_config_is_valid(path):
    load_config(path)


def test_a_wrong_time_zone_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no IANA time zone"):
        load_config(write(tmp_path, "sources: {timezone: Mars/Olympus}"))


def test_the_first_camera_that_matches_has_its_own_clock():
    clock = Config.model_validate(
        {
            "clock": {
                "offset_s": 1.5,
                "cameras": {
                    "gate-2": {"offset_s": -3},
                    "gate*": {"rate_ppm": 12.5, "since": "2026-03-01T00:00:00"},
                },
            }
        }
    ).clock
    assert clock.of("yard").offset_ns == 1_500_000_000
    assert (clock.of("gate-2").offset_ns, clock.of("gate-2").rate_ppb) == (-3_000_000_000, 0)
    drifting = clock.of("gate-7")
    assert (drifting.offset_ns, drifting.rate_ppb) == (0, 12_500)
    assert drifting.since_ns == 1_772_323_200 * 10**9


def test_a_setting_under_the_name_of_a_known_camera_is_for_that_camera_alone():
    config = Config.model_validate(
        {
            "retention_days": {"gate?1?": 5, "gate[1]": 1, "gate[2]": 2},
            "clock": {"cameras": {"gate[1]": {"offset_s": 1}}},
        }
    )
    known = config.knowing({"gate1", "gate[1]"})
    assert [known.keep_days(name) for name in ("gate[1]", "gate1")] == [1, None]
    assert [known.clock.of(name).offset_ns for name in ("gate[1]", "gate1")] == [10**9, 0]
    # No camera is called gate[2]: that is a glob.
    assert known.keep_days("gate2") == 2
    assert config.keep_days("gate1") == 1
    assert known.fingerprint == config.fingerprint


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"])
def test_a_clock_that_was_right_outside_of_the_years_of_utc_is_refused(since):
    with pytest.raises(ConfigError, match=r"clock\.since = .*not in the years 1 to 9999 of UTC"):
        load_config(None, (f"clock.since='{since}'",))


def test_one_cameras_clock_does_not_send_the_others_back_to_the_model():
    corrected = Config.model_validate({"clock": {"cameras": {"gate": {"offset_s": 2}}}})
    assert corrected.fingerprint == Config().fingerprint


def test_a_raised_limit_does_not_do_the_archive_again():
    raised = Config.model_validate({"decode": {"max_pixels": 10**9, "max_stall_s": 1}})
    assert raised.fingerprint == Config().fingerprint
