"""What silences a security rule says why."""

import re
import subprocess

from tests.conftest import ROOT

_SILENCED = re.compile(r"# (?:ruff: )?noqa: (?:[A-Z0-9]+, ?)*S\d+")
_WITH_REASON = re.compile(_SILENCED.pattern + r"(?:, ?[A-Z0-9]+)* - \S")


def _files_of_the_project() -> list[str]:
    """The Python files that git knows: a virtual environment inside the clone is not ours."""
    listed = ["git", "ls-files", "pipeline/*.py", "timereel/*.py", "jobs/*.py", ".ci/*.py"]
    return subprocess.run(
        listed, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()


def test_every_silenced_security_rule_of_the_package_has_a_reason():
    silenced = [
        f"{name}: {line.strip()}"
        for name in _files_of_the_project()
        for line in (ROOT / name).read_text().splitlines()
        if _SILENCED.search(line)
    ]
    assert silenced
    assert [line for line in silenced if not _WITH_REASON.search(line)] == []
