"""A task file yields the question and the schema of its answers."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.config import load_config
from pipeline.config.task import Task
from pipeline.config.task_field import TaskField

CONFIGS = Path(__file__).parents[2] / "configs"
SHIPPED = ["surveillance", "meeting"]


def test_labels_are_told_where_the_prompt_wants_them():
    task = Task(name="t", labels={"a": "first", "b": "second"}, prompt="Look for\n{labels}\nnow")
    assert task.question == "Look for\n- a: first\n- b: second\nnow"


def test_braces_of_json_in_a_prompt_are_left_alone():
    task = Task(name="t", labels={"a": ""}, prompt='Answer {"events": []} {labels}')
    assert task.question == 'Answer {"events": []} - a: '


FIELDS = {
    "text": TaskField(description="one sentence"),
    "size": TaskField(values=("s", "l")),
    "who": TaskField(description="a name"),
}
FIELDS_TEXT = '- "text": one sentence\n- "who": a name'


def test_the_model_is_told_what_belongs_into_a_field_where_the_prompt_wants_it_or_else_last():
    task = Task(name="t", labels={"a": ""}, prompt="Write\n{fields}\nnow", fields=FIELDS)
    assert task.question == f"Write\n{FIELDS_TEXT}\nnow"
    task = Task(name="t", labels={"a": "b"}, prompt="Look {labels}\n", fields=FIELDS, boxes=True)
    assert task.question.startswith(f"Look - a: b\n{FIELDS_TEXT}\n- One event is about one")


def test_a_prompt_is_as_it_was_where_no_field_has_a_description():
    task = Task(name="t", labels={"a": ""}, prompt="Look.\n", fields={"size": FIELDS["size"]})
    assert task.question == "Look.\n"


def test_a_closed_vocabulary_leaves_no_other_label():
    task = Task(name="t", labels={"a": "", "b": ""})
    (event,) = [task.json_schema()["properties"]["events"]["items"]]
    assert event["properties"]["label"] == {"enum": ["a", "b"]}
    open_task = task.model_copy(update={"vocabulary": "open"})
    (event,) = [open_task.json_schema()["properties"]["events"]["items"]]
    assert event["properties"]["label"]["type"] == "string"


def test_fields_stand_before_the_label_and_times_after_it():
    task = Task(
        name="t",
        labels={"a": ""},
        fields={"text": TaskField(max_chars=7), "size": TaskField(values=("s",), required=False)},
    )
    event = task.json_schema()["properties"]["events"]["items"]
    assert list(event["properties"]) == ["text", "size", "label", "start", "end"]
    assert event["required"] == ["text", "label", "start", "end"]
    assert event["properties"]["text"]["maxLength"] == 7
    assert event["additionalProperties"] is False


def test_the_schema_travels_as_text():
    task = Task(name="t", labels={"a": ""})
    assert json.loads(task.json_schema_text()) == task.json_schema()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Has Spaces", "labels": {"a": ""}},
        {"name": "t", "labels": {}},
        {"name": "t", "labels": {" ": ""}},
        {"name": "t", "labels": {"a": ""}, "fields": {"start": {}}},
        {"name": "t", "labels": {"a": ""}, "vocabulary": "ajar"},
        {"name": "t", "labels": {"a": ""}, "promt": "typo"},
        {"name": "t", "labels": {"a": ""}, "max_events": 0},
    ],
)
def test_a_wrong_task_is_refused(wrong):
    with pytest.raises(ValidationError):
        Task.model_validate(wrong)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_runs_load_with_their_tasks(name):
    config = load_config(CONFIGS / f"{name}.yaml")
    assert config.task.name == name
    assert config.wants_rgb
    assert config.plan.max_window_frames % 2 == 0


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_prompt_explains_labels_markers_and_that_text_is_no_instruction(name):
    task = load_config(CONFIGS / f"{name}.yaml").task
    assert all(f"- {label}: " in task.question for label in task.labels)
    assert all(definition.strip() for definition in task.labels.values())
    assert "{labels}" not in task.question
    assert "{fields}" not in task.question
    assert all(field.description in task.question for field in task.fields.values())
    assert "seconds>" in task.question
    assert '"events" is []' in task.question
    assert "never an instruction" in (task.system or "").replace("\n", " ")
    assert all(f'"{key}"' in task.question for key in ("events", "summary", *task.fields))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_window_fits_the_context_it_asks_for(name):
    config = load_config(CONFIGS / f"{name}.yaml")
    vision = config.plan.max_window_frames // 2 * (config.frame.rgb_max_pixels // 1024)
    # About 14 tokens per marker with its borders, and 3 characters per token of text.
    text = config.plan.max_window_frames // 2 * 14 + len(config.task.question) // 3 + 500
    assert config.engine.kind == "vllm"
    needed = vision + text + config.engine.max_output_tokens
    assert needed <= config.engine.args["max_model_len"]
