"""A tiny detector whose truth is exact: a person is wherever the picture is bright."""

from pathlib import Path

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

CELL = 8
REACH = 1.5
"""The box of a bright cell reaches so many cells from its middle."""
WIDTH, HEIGHT = 128, 64
PERSON = {"classes": ["person"], "threshold": 0.5, "keep": 0.35}


def make_detector(folder: Path, **changes: object) -> Path:
    """Write the model's folder: scores are the brightness of cells of 8 x 8 pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    num = WIDTH * HEIGHT // CELL**2
    nodes = [
        helper.make_node("ReduceMean", ["image", "channels"], ["grey"], keepdims=1),
        helper.make_node(
            "AveragePool", ["grey"], ["cells"], kernel_shape=[CELL] * 2, strides=[CELL] * 2
        ),
        helper.make_node("Reshape", ["cells", "as_list"], ["scores_8"]),
        helper.make_node("Mul", ["scores_8", "zero"], ["nothing"]),
        helper.make_node("Concat", ["nothing"] * 16, ["sides_8"], axis=2),
    ]
    tensors = [
        numpy_helper.from_array(np.array([1]), "channels"),
        numpy_helper.from_array(np.array([0, num, 1]), "as_list"),
        numpy_helper.from_array(np.float32(0), "zero"),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, HEIGHT, WIDTH])
    outputs = [
        helper.make_tensor_value_info("scores_8", TensorProto.FLOAT, ["n", num, 1]),
        helper.make_tensor_value_info("sides_8", TensorProto.FLOAT, ["n", num, 16]),
    ]
    graph = helper.make_graph(nodes, "bright", [image], outputs, tensors)
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), folder / "bright.onnx")
    model = {
        "name": "bright",
        "weights": "bright.onnx",
        "output": "nanodet",
        "input": {"width": WIDTH, "height": HEIGHT, "std": [255, 255, 255]},
        "classes": ["person"],
        "labels": {"person": PERSON},
    } | changes
    (folder / "model.yaml").write_text(yaml.safe_dump(model))
    return folder
