"""Packages with an engine, as an installer leaves them: a module and its metadata."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs" / "engines.md"


def install(folder: Path, name: str, module: str) -> None:
    """Put the package into a folder; it is installed where that is on Python's path."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[timereel.engines]\n{name} = {name}:KIND\n")
    (folder / f"{name}.py").write_text(module)


def code_of_the_page() -> list[str]:
    """The Python of docs/engines.md: the engine, and its test."""
    return re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
