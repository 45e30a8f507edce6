"""What silences a security rule says why."""

import re

from tests.conftest import ROOT

_SILENCED = re.compile(r"# (?:ruff: )?noqa: (?:[A-Z0-9]+, ?)*S\d+")
_WITH_REASON = re.compile(_SILENCED.pattern + r"(?:, ?[A-Z0-9]+)* - \S")


def test_every_silenced_security_rule_of_the_package_has_a_reason():
    silenced = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("pipeline", "timereel", "jobs", ".ci")
        for path in (ROOT / folder).rglob("*.py")
        for line in path.read_text().splitlines()
        if _SILENCED.search(line)
    ]
    assert silenced
    assert [line for line in silenced if not _WITH_REASON.search(line)] == []
