"""CUDA builds are told by their version file, without importing anything."""

import sys

import pytest

from pipeline.engine.torch_builds import is_cuda_build


@pytest.mark.parametrize(
    ("version_file", "cuda"),
    [
        ("__version__ = '0.28.0+cu130'\n", True),
        ('__version__ = "0.28.0+cu130"\n', True),
        ("__version__ = '0.28.0+cpu'\n", False),
        ("__version__ = '0.28.0'\ngit_version = '+cu130'\n", False),
        (None, False),
    ],
)
def test_a_cuda_build_says_so_in_its_version_file(tmp_path, monkeypatch, version_file, cuda):
    package = tmp_path / "companion"
    package.mkdir()
    (package / "__init__.py").write_text("raise OSError('libcudart.so: cannot open')")
    if version_file is not None:
        (package / "version.py").write_text(version_file)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert is_cuda_build("companion") is cuda
    assert "companion" not in sys.modules


def test_a_package_that_is_not_installed_is_no_cuda_build():
    assert not is_cuda_build("no_such_package_anywhere")


def test_a_package_already_hidden_is_no_cuda_build(monkeypatch):
    monkeypatch.setitem(sys.modules, "hidden_companion", None)
    assert not is_cuda_build("hidden_companion")
