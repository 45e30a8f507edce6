"""A model folder is known by what it holds."""

import shutil

import numpy as np
import pytest

from jobs.training.serve import CHECKPOINT
from pipeline.config import Config
from pipeline.config.weights import weights_id
from pipeline.engine.vllm import VllmEngineConfig


@pytest.fixture
def folder(tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(CHECKPOINT, copy)
    return copy


def fingerprint(folder) -> str:
    return Config(engine=VllmEngineConfig(kind="vllm", model=str(folder))).fingerprint


def test_a_copy_elsewhere_is_the_same_model(folder):
    (folder / ".cache").mkdir()
    (folder / ".cache" / "lock").write_text("x")
    assert weights_id(str(folder)) == weights_id(str(CHECKPOINT))
    assert fingerprint(folder) == fingerprint(CHECKPOINT)


def test_other_weights_under_the_same_header_are_another_model(folder):
    before = fingerprint(folder)
    path = folder / "model.safetensors"
    raw = bytearray(path.read_bytes())
    weights = np.frombuffer(raw, np.uint8)[len(raw) // 4 :]
    weights ^= 1
    path.write_bytes(raw)
    assert fingerprint(folder) != before


def test_another_chat_template_is_another_model(folder):
    before = weights_id(str(folder))
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert weights_id(str(folder)) != before


def test_a_large_weight_file_is_sampled_to_its_end(tmp_path):
    path = tmp_path / "model.safetensors"
    names = set()
    size = 8 * 2**20
    for at in (None, 0, size // 2, size - 1):
        # Not a single byte: samples cannot see that, see weights_id.
        content = bytearray(size)
        if at is not None:
            content[max(0, at - 2**18) : at + 2**18] = b"\x01" * (
                min(size, at + 2**18) - max(0, at - 2**18)
            )
        path.write_bytes(content)
        names.add(weights_id(str(tmp_path)))
    assert len(names) == 4


def test_a_hub_id_is_no_folder():
    assert weights_id("Qwen/Qwen3-VL-8B-Instruct") is None


def test_of_a_detector_what_is_written_for_people_does_not_count(tmp_path):
    names = set()
    for text in ("", "other words"):
        folder = tmp_path / str(len(text))
        folder.mkdir()
        for name in ("README.md", "LICENSE", "LICENSE.human-models", "NOTICE"):
            (folder / name).write_text(text)
        (folder / "model.yaml").write_text("name: m")
        (folder / "net.onnx").write_bytes(b"weights")
        names.add(weights_id(str(folder)))
        for counts in ("model.yaml", "net.onnx"):
            (folder / counts).write_bytes(text.encode() + b"changed")
            names.add(weights_id(str(folder)))
    assert len(names) == 5  # one before, then two for each text
