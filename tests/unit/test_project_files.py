"""What strangers find first: the licence, the metadata, the workflow."""

import re
import tomllib

import yaml

from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_licence_of_the_metadata_is_the_text_that_lies_there():
    assert PROJECT["license"] == "Apache-2.0"
    assert (
        "Apache License\n                           Version 2.0" in (ROOT / "LICENSE").read_text()
    )
    assert all((ROOT / name).is_file() for name in PROJECT["license-files"])


def test_the_notice_names_the_work_the_author_and_the_licence_of_the_clip():
    notice = (ROOT / "NOTICE").read_text()
    for fact in ("one-by-one-person-detection.mp4", "Intel", "creativecommons.org/licenses/by/4.0"):
        assert fact in notice
        assert fact in (ROOT / "pipeline" / "demo" / "ATTRIBUTION.md").read_text()


def test_the_workflow_runs_the_make_targets_of_the_local_run():
    local = set(re.findall(r"^make ([a-z-]+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE))
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    hosted = {step["run"].removeprefix("make ") for step in steps if "run" in step}
    # `make test` begins with test-fast; the audit needs a network.
    assert local - {"clean"} == hosted - {"test-fast", "audit"}


def test_every_form_for_issues_is_yaml_with_questions():
    forms = set((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    forms.remove(ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml")
    assert all(yaml.safe_load(form.read_text())["body"] for form in forms)
