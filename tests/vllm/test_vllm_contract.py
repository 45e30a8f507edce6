"""The demo model in real vLLM keeps the contract of every engine."""

import pytest

from pipeline.config import load_config
from pipeline.testing import check_engine
from tests.conftest import ROOT

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]
pytest.importorskip("vllm")


def test_the_demo_model_tells_times_fails_alone_and_counts_its_tokens(monkeypatch):
    monkeypatch.chdir(ROOT)  # the demo names its model by a relative path
    check_engine(load_config(ROOT / "configs" / "demo.yaml"))
