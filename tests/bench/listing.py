"""What ``timereel sources`` costs: CPU seconds for a tree of NUM files that recorders named.

python -m tests.bench.listing 100000
"""

import os
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

_FORMS = (
    "frigate/%Y-%m-%d/%H/cam{camera}/%M.%S.mp4",
    "dahua/cam{camera}/%Y-%m-%d/001/dav/%H/%H.%M.%S-%H.%M.%S[M][0@0][0].dav",
    "reolink/cam{camera}_00_%Y%m%d%H%M%S.mp4",
    "phone/VID_%Y%m%d_%H%M%S.mp4",
    "cam{camera}/cam{camera}_%Y%m%dT%H%M%SZ.mp4",
    "films/a film of part {camera} %S/chapter %j %H %M.mkv",
    "pictures/%Y/%j/%H %M %S {camera}.jpg",
    "odd/%Y %j/%H %M %S {camera}.dat",
)


def main(num_files: int) -> None:
    """Make the tree, list it in every format, print the CPU seconds of each."""
    with tempfile.TemporaryDirectory() as folder:
        begun = datetime(2026, 3, 14, tzinfo=UTC)
        for number in range(num_files):
            at = begun + timedelta(seconds=31 * number)
            form = _FORMS[number % len(_FORMS)].format(camera=number // 8 % 16)
            path = Path(folder, at.strftime(form))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        for form in ("jsonl", "table"):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            with open(os.devnull, "wb") as out:
                subprocess.run(
                    [sys.executable, "-m", "timereel", "sources", folder, "--format", form],
                    stdout=out, check=True,
                )  # fmt: skip
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(f"{num_files:,} files, --format {form}: {cpu_s:.1f} CPU s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
