"""Whatever a task file holds: it is refused in words, or asks a question and reads an answer to it.

make input-fuzz EXAMPLES=5000
"""

import json
from contextlib import suppress

import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import load_config
from pipeline.config.task import Task
from pipeline.config.task_field import TaskField
from pipeline.errors import ConfigError, WindowError
from tests.conftest import ROOT
from tests.state import examples
from tests.unit.test_engine_parse import parse

SHIPPED = [yaml.safe_load(path.read_text()) for path in (ROOT / "configs/tasks").glob("*.yaml")]
FIELD_KEYS = sorted(TaskField.model_fields)
NAMES = st.sampled_from(["text", "label", "start", "end", "boxes", "a", "", " ", "{labels}"])
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        [
            "{labels}",
            "{fields}",
            "{0.__class__}",
            "{",
            "%s",
            "\x1b[31m",
            "\u202e",
            "x" * 9999,
            "1e9",
        ]
    ),
)
NUMBERS = st.sampled_from([0, 1, -1, 10**30, 1.5, float("nan"), float("inf"), True, None])
ODD = st.recursive(
    TEXTS | NUMBERS | st.dates() | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | TEXTS, inner, max_size=3),
    max_leaves=6,
)
FIELD = st.dictionaries(st.sampled_from(FIELD_KEYS), ODD, max_size=3)
TASK = st.fixed_dictionaries(
    {
        "name": st.just("t") | ODD,
        "labels": st.dictionaries(NAMES | TEXTS, TEXTS | ODD, max_size=3) | ODD,
    },
    optional={
        "vocabulary": st.sampled_from(["closed", "open"]) | ODD,
        "system": TEXTS | ODD,
        "prompt": TEXTS | ODD,
        "fields": st.dictionaries(NAMES | TEXTS, FIELD | ODD, max_size=3) | ODD,
        "summary": st.booleans() | ODD,
        "max_events": st.integers(-1, 3) | ODD,
        "boxes": st.booleans() | ODD,
        "max_boxes": st.integers(-1, 3) | ODD,
        "more": ODD,
    },
)


@st.composite
def changed(draw):
    """A task of this project in which some values are others, or gone."""
    task = json.loads(json.dumps(draw(st.sampled_from(SHIPPED))))
    for _ in range(draw(st.integers(1, 3))):
        node, key = task, draw(st.sampled_from(sorted(task, key=str)))
        while isinstance(node[key], dict) and node[key] and draw(st.booleans()):
            node, key = node[key], draw(st.sampled_from(sorted(node[key], key=str)))
        if draw(st.integers(0, 3)) or len(task) == 1:
            node[key] = draw(ODD)
        else:
            del node[key]
    return task


def an_answer(task: Task) -> str:
    """What a model says that does as the schema tells it."""
    fields = {name: field.values[0] if field.values else "a" for name, field in task.fields.items()}
    event = fields | {"label": next(iter(task.labels)), "start": 1.0, "end": 2.0}
    if task.boxes:
        event["boxes"] = []
    return json.dumps({"events": [event]} | ({"summary": "s"} if task.summary else {}))


@examples(150, 1)
@given(task=TASK | changed())
def test_any_task_file_is_refused_in_words_or_can_be_asked(tmp_path_factory, task):
    path = tmp_path_factory.getbasetemp() / "config.yaml"
    path.write_text("task: task.yaml")
    path.with_name("task.yaml").write_text(yaml.dump(task, allow_unicode=True), encoding="utf-8")
    with suppress(ConfigError, WindowError):
        read = load_config(path).task
        assert isinstance(read.question, str)
        assert json.loads(read.json_schema_text())
        parse(an_answer(read), task=read)
