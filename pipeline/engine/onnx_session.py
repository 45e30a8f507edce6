"""Opens ONNX files, each once per process."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.errors import EngineStartError

_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
"""In the order in which they are wanted; onnxruntime has those of its own build."""


def open_onnx(path: Path, *, threads: int, extra: str) -> Any:  # noqa: ANN401 - onnxruntime has no types
    """What runs the network of a file.

    Args:
        path: of the ONNX file.
        threads: CPU threads of one call.
        extra: of timereel, which brings onnxruntime.

    Raises:
        EngineStartError: there is no such file, onnxruntime is missing, or it cannot load the file.
    """
    try:
        modified_ns = path.stat().st_mtime_ns
    except OSError as exc:
        raise EngineStartError(f"{path}: cannot be read ({exc.strerror})") from exc
    return _session(str(path), modified_ns, threads, extra)


@lru_cache(maxsize=2)
def _session(path: str, modified_ns: int, threads: int, extra: str) -> Any:  # noqa: ANN401, ARG001 - onnxruntime has no types; a file that changed is loaded anew
    try:
        import onnxruntime  # noqa: PLC0415 - an extra
    except ImportError as exc:
        raise EngineStartError(
            f"{path}: needs onnxruntime: pip install 'timereel[{extra}]'"
        ) from exc
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; they are raised too
    available = set(onnxruntime.get_available_providers())
    providers = [name for name in _PROVIDERS if name in available]
    try:
        return onnxruntime.InferenceSession(path, options, providers=providers)
    except Exception as exc:  # onnxruntime has many of its own, without a common base
        raise EngineStartError(f"{path}: onnxruntime cannot load it ({exc})") from exc
