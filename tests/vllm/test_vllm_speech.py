"""A real Whisper in real vLLM on a CPU hears a known speech, also after its process was killed."""

import os
import signal
from pathlib import Path

import pytest

from pipeline.config import load_config
from pipeline.engine import open_speech
from pipeline.errors import EngineStartError
from tests.speech.test_whisper import JFK, SAID, STARTS_S, hear, weights, words_of

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1800)]
pytest.importorskip("vllm")


def config_of(folder):
    args = "{dtype: float32, enforce_eager: true, kv_cache_memory_bytes: 67108864}"
    speech = f"{{kind: vllm_speech, model: {folder}, num_gpus: 0, args: {args}}}"
    return load_config(None, (f"speech={speech}",)).listening


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    from tests.vllm.whisper_folder import save_whisper

    config = config_of(save_whisper(weights(), tmp_path_factory.mktemp("whisper")))
    others = engine_cores()
    opened = open_speech(config)
    yield config, opened, engine_cores() - others
    opened.shutdown()


def engine_cores():
    """The processes in which models run: children of this one."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    names = {int(pid): Path(f"/proc/{pid}/comm").read_text() for pid in children}
    return {pid for pid, name in names.items() if name.startswith("VLLM::EngineCor")}


def test_every_word_of_a_known_speech_is_heard_by_a_model_in_vllm(engine):
    config, opened, cores = engine
    results, utterances = hear(JFK, config, opened)
    assert words_of(utterances) == SAID.split()
    assert {one.status for one in results} <= {"analysed", "quiet"}
    assert {one.language for one in utterances} == {"en"}
    assert utterances[0].media.start_ns / 1e9 == pytest.approx(STARTS_S["and"], abs=0.15)
    [core] = cores
    os.kill(core, signal.SIGKILL)
    again, _ = hear(JFK, config, opened)
    assert [one.text for one in again] == [one.text for one in results]


def test_a_folder_without_a_model_is_told_before_anything_starts(tmp_path):
    with pytest.raises(EngineStartError, match=r"speech\.model=.*absent: no such folder"):
        open_speech(config_of(tmp_path / "absent"))
