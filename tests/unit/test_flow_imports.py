"""Reading a plan or a report must not cost the import of Ray."""

import pkgutil
import subprocess
import sys

import pipeline.flow

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
