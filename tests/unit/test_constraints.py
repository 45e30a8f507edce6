"""constraints.txt: tested versions of all requirements, and nothing of this machine."""

import re
import tomllib
from itertools import pairwise

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

LINES = (ROOT / "constraints.txt").read_text().splitlines()[1:]
HASHED = (ROOT / "constraints-hashes.txt").read_text().splitlines()[1:]
VERSIONS = dict(line.split("==") for line in LINES)


def test_every_line_is_a_name_and_a_public_version():
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line) for line in LINES)


def test_every_requirement_of_the_project_and_its_tools_is_met():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for text in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        wanted = Requirement(text)
        assert wanted.specifier.contains(VERSIONS[canonicalize_name(wanted.name)]), text


def test_the_same_versions_stand_beside_their_hashes():
    names = [line.removesuffix(" \\") for line in HASHED if not line.startswith("    --hash")]
    assert sorted(names) == LINES
    assert all(
        a.startswith("    ") or b.startswith("    --hash=sha256:") for a, b in pairwise(HASHED)
    )
