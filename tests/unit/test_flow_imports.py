"""A command imports what it needs: reading a plan or a report must not cost the import of Ray."""

import importlib
import pkgutil
import subprocess
import sys

from typer.main import get_group

import pipeline.cli
import pipeline.flow
from pipeline.cli.app import _COMMANDS

MODULES_WITH_RAY = {
    "pipeline.flow.cluster",
    "pipeline.flow.graph",
    "pipeline.flow.metrics",
    "pipeline.flow.submission",
    "pipeline.flow.driver.archive",
    "pipeline.flow.summaries.summarize",
}


def import_in_new_interpreter(modules):
    """The modules of Ray that are loaded afterwards."""
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "print(*(name for name in sys.modules if name.partition('.')[0] == 'ray'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *modules], check=True, capture_output=True, text=True
    )
    return done.stdout.split()


def test_only_the_modules_that_run_or_submit_a_graph_import_ray():
    modules = {
        module.name for module in pkgutil.walk_packages(pipeline.flow.__path__, "pipeline.flow.")
    }
    assert modules > MODULES_WITH_RAY
    assert import_in_new_interpreter(sorted(modules - MODULES_WITH_RAY)) == []
    assert "ray" in import_in_new_interpreter(["pipeline.flow.graph"])


def test_each_command_is_named_with_the_module_that_has_it():
    """A new command that is not named there would be in no help."""
    found = {}
    for module in pkgutil.iter_modules(pipeline.cli.__path__):
        loaded = importlib.import_module(f"pipeline.cli.{module.name}")
        if module.name != "app" and hasattr(loaded, "app"):
            found[module.name] = tuple(get_group(loaded.app).commands)
    assert found == _COMMANDS
