"""One Ray head with its job server, with two CPUs, for all tests of this folder."""

import pytest

from tests.flow.ray_head import ray_head


@pytest.fixture(scope="package")
def head(tmp_path_factory):
    """Environment in which the head is reached; see ``ray_head``."""
    with ray_head(tmp_path_factory.mktemp("head")) as env:
        yield env
