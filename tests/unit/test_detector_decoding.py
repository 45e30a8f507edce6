"""The outputs of each family of networks become the boxes they stand for."""

import numpy as np
import pytest

from pipeline.engine.detector.decoding import best_of_overlapping, detr, nanodet, overlaps, yolox
from pipeline.engine.detector.model_file import DetectorModel, Input
from pipeline.errors import EngineStartError

WIDTH, HEIGHT = 96, 64
LEAST = np.full(2, 0.3, np.float32)
BINS = 11


def model(output):
    return DetectorModel(
        name="m",
        weights="m.onnx",
        output=output,
        input=Input(width=WIDTH, height=HEIGHT),
        classes=("person", "car"),
        labels={},
    )


def cells(stride):
    return HEIGHT // stride, WIDTH // stride


def nanodet_outputs():
    """A car of 36 x 20 pixels around the middle of one cell of stride 16, and nothing else."""
    outputs = []
    for stride in (8, 16, 32):
        rows, columns = cells(stride)
        outputs.append(np.full((rows * columns, 2), 0.01, np.float32))
    for stride in (8, 16, 32):
        rows, columns = cells(stride)
        outputs.append(np.zeros((rows * columns, 4 * BINS), np.float32))
    cell = 2 * cells(16)[1] + 3
    outputs[1][cell, 1] = 0.8
    for side, reach in enumerate((18 / 16, 10 / 16, 18 / 16, 10 / 16)):
        low = int(reach)
        bins = np.full(BINS, -50, np.float32)
        bins[low], bins[low + 1] = np.log(1 - (reach - low)), np.log(reach - low)
        outputs[4][cell, side * BINS : (side + 1) * BINS] = bins
    return outputs


def test_nanodet_gives_the_box_around_the_middle_of_its_cell():
    boxes, scores = nanodet(nanodet_outputs(), model("nanodet"), LEAST)
    np.testing.assert_allclose(boxes, [[56 - 18, 40 - 10, 56 + 18, 40 + 10]], atol=1e-4)
    np.testing.assert_allclose(scores, [[0.01, 0.8]])


def test_yolox_gives_the_box_and_the_product_of_both_scores():
    rows = [np.prod(cells(stride)) for stride in (8, 16, 32)]
    given = np.zeros((sum(rows), 7), np.float32)
    across = cells(16)[1]
    given[rows[0] + across + 2] = [0.5, 0.25, np.log(2), np.log(1.5), 0.9, 0.1, 0.8]
    boxes, scores = yolox([given], model("yolox"), LEAST)
    middle = (2.5 * 16, 1.25 * 16)
    np.testing.assert_allclose(
        boxes, [[middle[0] - 16, middle[1] - 12, middle[0] + 16, middle[1] + 12]], rtol=1e-6
    )
    np.testing.assert_allclose(scores, [[0.09, 0.72]], rtol=1e-6)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_detr_gives_shares_of_the_picture_as_pixels_whatever_comes_first(order):
    logits = np.array([[-9, 0], [-9, -9]], np.float32)
    shares = np.array([[0.5, 0.5, 0.25, 0.5], [0.1, 0.1, 0.1, 0.1]], np.float32)
    given = [(logits, shares)[i] for i in order]
    boxes, scores = detr(given, model("detr"), LEAST)
    np.testing.assert_allclose(boxes, [[36, 16, 60, 48]])
    assert scores[0, 1] == 0.5


@pytest.mark.parametrize(
    ("decode", "given"),
    [
        (nanodet, [np.zeros((96, 3), np.float32)]),
        (yolox, [np.zeros((126, 85), np.float32)]),
        (detr, [np.zeros((5, 91), np.float32), np.zeros((5, 4), np.float32)]),
    ],
)
def test_a_network_of_another_kind_is_told_with_what_it_gives(decode, given):
    with pytest.raises(EngineStartError, match=rf"output {decode.__name__} needs .*the network"):
        decode(given, model(decode.__name__), LEAST)


def test_of_boxes_that_overlap_more_than_allowed_the_surest_stays():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 6], [0, 0, 10, 5.9], [20, 0, 30, 10]], np.float32)
    scores = np.array([0.5, 0.9, 0.4, 0.1], np.float32)
    # The first overlaps the second by exactly 0.6, which is not more.
    assert best_of_overlapping(boxes, scores, 0.6).tolist() == [1, 0, 3]
    assert best_of_overlapping(boxes[:0], scores[:0], 0.6).tolist() == []


def test_overlap_of_boxes_without_area_is_none():
    flat = np.array([[5, 5, 5, 9]], np.float32)
    assert overlaps(flat, flat).tolist() == [[0]]
