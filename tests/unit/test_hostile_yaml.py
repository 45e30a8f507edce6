"""Whatever a config or task file holds: settings that are valid, or a ConfigError that says why.

STATE_EXAMPLES=5000 tries so many documents of each kind.
"""

import json
from contextlib import suppress

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import Config, config_for_stored, load_config, stored_config
from pipeline.config.yaml_text import MAX_BYTES, MAX_DEPTH, MAX_VALUES, parse_yaml
from pipeline.errors import ConfigError
from tests.conftest import ROOT
from tests.state import examples

SHIPPED = [path.read_text() for path in sorted((ROOT / "configs").rglob("*.yaml"))]
SECTIONS = sorted(Config.model_fields)
KEYS = sorted(
    {
        *SECTIONS, "kind", "model", "base_url", "args", "name", "labels", "fields", "prompt",
        *(key for name in SECTIONS for key in getattr(
            Config.model_fields[name].annotation, "model_fields", ()
        )),
    }
)  # fmt: skip
VALUES = (
    "signals", "openai", "vllm", "qwen3-vl-2b", "http://h/v1", "{labels}", "UTC", "(a+)+$", "(",
    "2026-13-45", "0b_",
    "0x_", "1:59:1.5", "1e999", ".inf", ".nan", "-0",
    "9" * 99, "9" * 101, "1" + ":1" * 200, "", "~", "=", "on", "a\x00b", "/dev", "configs",
    "\u202e", "2026-02-28T10:00:00Z",
    "'\\", '"\\ud800"', '"\\0"', "\x07",
)  # fmt: skip
MARKS = (
    "&a ", "&b ", "*a", "*b", "<<: ", "? ", ": ", "- ", "[", "]", "{", "}", ", ", "\n", "\n  ",
    "\n    ", "|\n", ">-\n", "!!int ", "!!binary ", "!!python/name:os.system ", "!!timestamp ",
    "! ", "--- ", "...\n", "%YAML 9.9\n", "# ", "\t", "'", '"', "@", "`", "\ufeff",
)  # fmt: skip

keys = st.sampled_from(KEYS) | st.text(max_size=5) | st.integers()
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.datetimes()
    | st.binary(max_size=5) | st.text(max_size=20) | st.sampled_from(VALUES),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
trees = st.dictionaries(st.sampled_from(SECTIONS), values, max_size=5).map(
    lambda tree: yaml.dump(tree, allow_unicode=True)
)
scribbles = st.lists(
    st.sampled_from([*(f"{key}: " for key in KEYS), *VALUES, *MARKS]) | st.text(max_size=4),
    max_size=30,
).map("".join)


@st.composite
def mutated(draw):
    text = draw(st.sampled_from(SHIPPED))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.integers(0, 30))
        text = text[:start] + draw(st.sampled_from([*MARKS, *VALUES])) + text[end:]
    return text


@examples(100, 1)
@given(document=trees | scribbles | mutated(), is_task=st.booleans())
def test_no_document_raises_anything_but_a_config_error(tmp_path_factory, document, is_task):
    path = tmp_path_factory.getbasetemp() / "run.yaml"
    written = path.with_name("task.yaml") if is_task else path
    if is_task:
        path.write_text("task: task.yaml")
    written.write_bytes(document.encode("utf-8", "surrogatepass"))
    with suppress(ConfigError):
        config = load_config(path)
        # What is valid can also be stored.
        assert json.loads(config.to_json())
        assert config.fingerprint


@examples(100, 1)
@given(key=st.sampled_from(KEYS), inner=st.sampled_from(KEYS), value=scribbles)
def test_no_override_raises_anything_but_a_config_error(key, inner, value):
    with suppress(ConfigError):
        load_config(None, (f"{key}.{inner}={value}",))


@pytest.mark.parametrize("read", [stored_config, config_for_stored])
@pytest.mark.parametrize(
    "text",
    [
        "[]", "1", "null", "{", "", "[" * 100_000, '{"a": ' * 2000 + "1" + "}" * 2000,
        '{"engine": {"kind": [1]}}', '{"stitch": 1}', '{"task": {"prompt": "\\ud800"}}',
        '{"task": "../../etc/passwd"}', '{"stitch": {"max_gap_s": 1e999}}',
        '{"a": ' + "9" * 5000 + "}",
    ],
)  # fmt: skip
def test_a_stored_config_that_is_none_is_refused(read, text):
    with pytest.raises(ConfigError):
        read(text)


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 8)
)
MERGES = "a0: &a0 {" + ", ".join(f"k{i}: 1" for i in range(100)) + "}\n"
MERGES += "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}]}}\n" for i in range(1, 8))
LADDER = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 1000))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BOMB, "line 5: more than 50,000 keys and values"),
        (MERGES, "more than 50,000 keys and values"),
        (LADDER, "nested deeper than 64 levels"),
        ("a: " + "[" * 20_000, "nested deeper than 64 levels"),
        ("a: &a\n  b: *a\n", r"line 2: alias \*a stands inside of its own anchor"),
        ("#" * (MAX_BYTES + 1), "larger than 1,048,576 bytes"),
        ("a: 1" + ":1" * 100_000, "a number of more than 100 characters"),
        ("a: 2026-13-45", "month must be in"),
        ("a: !!int x", "without tags"),
        ('a: "\\ud800"', "half of a surrogate pair"),
        (b"a: \xff", "is not YAML"),
        ('task: "\\0"', "cannot be read"),
        (f"sources: {{regexes: ['{'(' * 3000}{')' * 3000}']}}", "is no regular expression"),
        ("sources: {regexes: ['(']}", r"sources\.regexes = .*'\(' is no regular expression"),
    ],
)
def test_the_error_names_the_file_and_the_limit(tmp_path, text, told):
    path = tmp_path / "run.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=told) as error:
        load_config(path)
    assert str(tmp_path) in str(error.value)


def test_a_task_file_has_the_same_limits(tmp_path):
    (tmp_path / "run.yaml").write_text("task: bomb.yaml")
    (tmp_path / "bomb.yaml").write_text(BOMB)
    with pytest.raises(ConfigError, match=r"bomb\.yaml, line 5: more than 50,000"):
        load_config(tmp_path / "run.yaml")


def test_what_is_exactly_at_a_limit_is_read():
    deepest = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert parse_yaml(deepest, "x")
    with pytest.raises(ConfigError, match="deeper"):
        parse_yaml(f"[{deepest}]", "x")
    half = "a: &a [" + "x, " * (MAX_VALUES // 2 - 4) + "]\n"
    # The document, its mapping, two keys, and the list twice.
    assert parse_yaml(half + "b: *a", "x")
    with pytest.raises(ConfigError, match="more than"):
        parse_yaml(half + "b: *a\nc: [1, 2]", "x")


def test_a_bomb_of_many_wrong_keys_is_told_in_few_lines(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("".join(f"key{i}: {'x' * 900}\n" for i in range(1000)))
    with pytest.raises(ConfigError, match="and 950 more") as told:
        load_config(path)
    assert len(str(told.value)) < 100_000


def test_aliases_and_merges_of_people_are_read():
    text = "base: &base {fps: 2}\nother: {<<: *base, mode: exact}\nagain: *base"
    assert parse_yaml(text, "x")["other"] == {"fps": 2, "mode": "exact"}
    assert parse_yaml("a: !!str 1", "x") == {"a": "1"}
