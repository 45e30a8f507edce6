"""Writes what is installed of the project and its extra ``dev`` as constraints for pip.

Only names and versions. What the model extras need is left out: the CPU build of torch has a local
version that only PyTorch's own index offers.
"""

import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def installed(requirements: Iterable[Requirement]) -> dict[str, str]:
    """Version by name of the requirements and of all that they require in turn."""
    versions: dict[str, str] = {}
    pending = [(requirement, frozenset[str]()) for requirement in requirements]
    seen = set()
    while pending:
        requirement, asked = pending.pop()
        key = (name := canonicalize_name(requirement.name), frozenset(requirement.extras), asked)
        applies = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in asked or {""}
        )
        if key in seen or not applies:
            continue
        seen.add(key)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            sys.exit(f"{name} is not installed; run `make constraints`, which installs it first")
        versions[name] = found.version
        extras = frozenset(requirement.extras) or frozenset({""})
        pending += [(Requirement(text), extras) for text in found.requires or ()]
    return versions


def main() -> None:
    """Print the constraints."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    versions = installed(map(Requirement, texts))
    sys.stdout.write("# Tested versions of the project and its extra dev: `make constraints`.\n")
    sys.stdout.writelines(f"{name}=={version}\n" for name, version in sorted(versions.items()))


if __name__ == "__main__":
    main()
