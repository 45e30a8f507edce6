"""The archive machine, whose steps a test takes by hand."""

import pytest

from tests.state.test_archive_machine import ArchiveMachine


@pytest.fixture
def machine():
    machine = ArchiveMachine()
    yield machine
    machine.teardown()
