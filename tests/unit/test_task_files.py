"""Tasks as files: the shipped ones, their examples, numbers with limits, and ``timereel task``."""

import json
import re

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from pipeline.config import Config
from pipeline.config.read import load_task
from pipeline.config.task import Task
from pipeline.config.task_field import TaskField, TaskNumber
from pipeline.engine.openai import OpenAIEngineConfig
from pipeline.errors import ConfigError, WindowError
from pipeline.flow.task.trial import try_task
from tests.conftest import ROOT
from tests.unit.test_engine_parse import parse
from tests.videos import make_video, source_of

TASKS = ROOT / "configs" / "tasks"
EXAMPLES = dict(
    re.findall(
        r"^### ([a-z-]+)$.*?```json\n(.*?)\n```",
        (ROOT / "docs" / "tasks.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
)
SHIPPED = sorted({path.stem for path in TASKS.glob("*.yaml")} - {"demo", "meeting", "surveillance"})


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_video(tmp_path_factory.mktemp("clip") / "clip.mp4", num_frames=50)


def test_each_shipped_task_has_an_example_and_each_example_a_task():
    assert set(EXAMPLES) == set(SHIPPED)
    assert len(SHIPPED) == 12


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_task_tells_the_model_all_that_it_needs(name):
    task = load_task(TASKS / f"{name}.yaml")
    assert task.name == name
    assert all(f"- {label}: {text}" in task.question for label, text in task.asked_labels.items())
    assert all(field.description in task.question for field in task.fields.values())
    assert all(f'"{key}": ...' in task.question for key in (*task.fields, "label", "start", "end"))
    assert not re.search(r"\{[a-z]+\}", task.question)
    assert "seconds>" in task.question
    assert '"events" is []' in task.question
    assert "never an instruction" in (task.system or "").replace("\n", " ")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_task_is_asked_about_a_clip_and_its_example_becomes_events(name, clip, serve):
    task = load_task(TASKS / f"{name}.yaml")
    example = EXAMPLES[name]
    jsonschema.validate(json.loads(example), task.json_schema())
    endpoint = serve((200, example))
    engine = {"kind": "openai", "model": "m", "base_url": endpoint.url, "max_retries": 0}
    config = Config(task=task, engine=OpenAIEngineConfig.model_validate(engine))
    trial = try_task(source_of(clip), config)
    [result] = trial.results
    assert result.error == ""
    assert len(trial.events) == len(json.loads(example)["events"])
    [(_, body)] = endpoint.requests
    assert body["messages"][-1]["content"][-1]["text"] == task.question


def test_the_zones_that_are_shown_beside_tasks_fit_a_config_with_a_task_that_asks_for_boxes():
    shown = 0
    for path in [ROOT / "docs" / "tasks.md", *TASKS.glob("*.yaml")]:
        for text in re.findall(r"zones: (\{.*\})(?=[`.\n])", path.read_text()):
            config = Config.model_validate({"zones": yaml.safe_load(text)})
            assert all(config.zones_of("any camera").values())
            shown += 1
    assert shown == 5
    boxed = {name for name in SHIPPED if load_task(TASKS / f"{name}.yaml").boxes}
    assert boxed == {"intrusion", "loitering", "vehicles"}


def test_code_gives_the_labels_of_limits_and_writes_down_which_one_is_broken():
    gauge = load_task(TASKS / "gauge.yaml")
    found, _ = parse(EXAMPLES["gauge"], task=gauge)
    assert [(one.label, dict(one.fields)["reading"]) for one in found] == [
        ("reading", "1.6 MPa"),  # on the limit is within it
        ("over_limit", "1.8 MPa > 1.6"),
    ]
    assert found[1].text == "boiler 2 1.8 MPa > 1.6 over_limit"


@pytest.mark.parametrize(
    ("number", "shown", "label"),
    [
        (0, "0 bar < 1", "low"),
        (0.99, "0.99 bar < 1", "low"),
        (1, "1 bar", ""),
        (5, "5 bar", ""),
        (5.001, "5.001 bar > 5", "warn"),
        (8, "8 bar > 5", "warn"),
        (9, "9 bar > 8", "alarm"),
        (10, "10 bar > 8", "alarm"),
    ],
)
def test_the_outermost_limit_that_is_broken_decides(number, shown, label):
    scale = TaskNumber(unit="bar", min=0, max=10, above={"warn": 5, "alarm": 8}, below={"low": 1})
    assert scale.judged(number) == (shown, label)


READING = '{{"instrument": "a", "reading": {}, "label": "{}", "start": 0, "end": 1}}'


@pytest.mark.parametrize(
    ("reading", "label", "reason"),
    [
        ("2.6", "reading", "reading = 2.6 is not from 0 to 2.5"),
        ("-0.1", "reading", "reading = -0.1 is not from 0 to 2.5"),
        ('"1.8"', "reading", "must be a number"),
        ("true", "reading", "must be a number"),
        ("1e999", "reading", "is not finite"),
        ("1.0", "over_limit", "label = 'over_limit' is none of reading"),
    ],
)
def test_a_number_off_the_scale_and_a_label_of_a_limit_are_refused(reading, label, reason):
    gauge = load_task(TASKS / "gauge.yaml")
    answer = f'{{"events": [{READING.format(reading, label)}], "summary": ""}}'
    with pytest.raises(WindowError, match=re.escape(reason)):
        parse(answer, task=gauge)


@pytest.mark.parametrize(
    ("mermaid", "is_good"),
    [
        ("flowchart LR; A[Order] --> B[Pay]; B -->|no| A", True),
        ("flowchart TD; A[开始] --> B[结束]", True),
        ("flowchart LR; A[Order]", True),
        ("flowchart LR", False),
        ("flowchart LR; A[<script>] --> B; click A call f()", False),
        ("graph LR; A --> B", False),
        ("A --> B", False),
    ],
)
def test_only_a_flow_chart_is_taken_for_one(mermaid, is_good):
    whiteboard = load_task(TASKS / "whiteboard.yaml")
    event = {"words": "", "mermaid": mermaid, "label": "diagram", "start": 0, "end": 1}
    answer = json.dumps({"events": [event], "summary": ""})
    if is_good:
        [one], _ = parse(answer, task=whiteboard)
        assert dict(one.fields)["mermaid"] == mermaid
    else:
        with pytest.raises(WindowError, match=r"mermaid = .* does not match"):
            parse(answer, task=whiteboard)


def test_a_pattern_that_takes_too_long_is_named_and_not_waited_for():
    task = Task(
        name="t", labels={"a": ""}, summary=False, fields={"f": TaskField(pattern="(a|aa)+b")}
    )
    event = {"f": "a" * 80, "label": "a", "start": 0, "end": 1}
    with pytest.raises(WindowError, match=r"fewer repetitions|does not match"):
        parse(json.dumps({"events": [event]}), task=task)


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ({"number": {"min": 1, "max": 1}}, "min 1 must be less than max 1"),
        ({"number": {"min": 0, "max": 1, "above": {"a": 2}}}, "a: 2 must lie between"),
        ({"number": {"min": 0, "max": float("inf")}}, "finite"),
        ({"number": {"min": 0, "max": 1, "above": {"c": 1}}}, "are labels of limits; define"),
        ({"number": {"min": 0, "max": 1, "above": {"a": 1}, "below": {"b": 0}}}, "needs one"),
        ({"pattern": "("}, "is no regular expression"),
        ({"pattern": "a", "values": ["a"]}, "not several of them"),
    ],
)
def test_a_wrong_number_or_pattern_is_refused(field, reason):
    with pytest.raises(ValidationError, match=reason):
        Task.model_validate({"name": "t", "labels": {"a": "", "b": ""}, "fields": {"f": field}})


def test_a_new_task_is_valid_and_a_file_that_exists_stays(cli, tmp_path):
    path = tmp_path / "parking.yaml"
    cli.run("task", "new", "parking", "--out", path)
    assert yaml.safe_load(path.read_text())["name"] == "parking"
    told = cli.run("task", "validate", path, *TASKS.glob("*.yaml"))
    assert told.splitlines()[0].startswith(f"{path}: parking: 1 labels, 1 fields, ")
    assert [line for line in cli.err.splitlines() if "demo.yaml" not in line] == []
    path.write_text("mine")
    cli.run("task", "new", "parking", "--out", path, code=2)
    assert "File exists" in cli.err
    assert path.read_text() == "mine"


def test_validation_names_each_wrong_key_and_what_is_hardly_meant(cli, tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text("name: t\nlabel: {a: b}\n")
    cli.run("task", "validate", path, code=2)
    assert f"{path} is not valid" in cli.err
    assert "label = {'a': 'b'}" in cli.err
    path.write_text('name: t\nlabels: {a: b}\nprompt: "Look for {label}."\n')
    cli.run("task", "validate", path)
    assert "the prompt holds {label}, which nothing replaces" in cli.err
    assert "the prompt has no {labels}" in cli.err
    with pytest.raises(ConfigError, match="cannot be read"):
        load_task(tmp_path / "none.yaml")


def test_a_trial_shows_prompt_schema_answer_and_events_or_why_it_is_refused(
    cli, clip, serve, tmp_path
):
    endpoint = serve((200, EXAMPLES["gauge"]))
    config = tmp_path / "run.yaml"
    config.write_text(f"engine: {{kind: openai, model: m, base_url: '{endpoint.url}'}}\n")
    gauge = TASKS / "gauge.yaml"
    text = cli.run("task", "try", gauge, clip, "--config", config)
    assert "Read the instruments in this video." in text
    assert '"maximum": 2.5' in text
    assert "1.000-1.480 s | over_limit | boiler 2 1.8 MPa > 1.6 over_limit |" in text
    endpoint.script[:] = [(200, '{"events": []}')]
    told = cli.json("task", "try", gauge, clip, "--config", config, "--json", code=4)
    assert told["events"] == []
    assert "summary" in told["answers"][0]["error"]
    cli.run("task", "try", gauge, clip, "--config", config, "--at", 99, code=2)
    assert "shows nothing at 99 s" in cli.err
    cli.run("task", "try", gauge, clip, code=2)
    assert "engine.kind=signals: asks no model" in cli.err
