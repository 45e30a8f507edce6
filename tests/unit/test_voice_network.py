"""What a network is given of a voice, and what becomes of its answer."""

import base64

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pipeline.config import VoicesConfig, load_config
from pipeline.engine.fbank import fbank
from pipeline.engine.voices import VoiceNetwork
from pipeline.errors import EngineStartError
from pipeline.flow.task.enrol import open_voices
from pipeline.records import SoundTrack, Stretch
from pipeline.records.speech import SOUND_HZ
from tests.spoken import range_s

LOW_HZ, HIGH_HZ = 300, 2400
TRACK = SoundTrack(number=0, stream_index=0, title="", language="")
# Of the Python package kaldi-native-fbank 1.22.4, without dither, less the mean over time: the
# first four filters of the first frame, and the last three of frame 50.
KALDI = {
    ("hamming", 80): ([-0.07630825, -0.10415554, 0.721818, -0.34032536],
                      [0.27043533, -0.32554626, -0.34902954]),
    ("povey", 40): ([0.09875584, 0.25109005, 0.37632942, -0.8401451],
                    [-0.44261742, 0.37204552, -0.1945095]),
}  # fmt: skip


@pytest.mark.parametrize(("window", "mels"), KALDI)
def test_the_features_are_those_of_kaldi(window, mels):
    noise = np.random.default_rng(1).normal(0, 0.1, 25_600)
    sound = (noise + 0.3 * np.sin(np.arange(25_600) * 0.2)).astype(np.float32)
    [features] = fbank(sound[None], mels, window)
    assert features.shape == (158, mels)
    first, later = KALDI[window, mels]
    assert features[0, :4] == pytest.approx(first, abs=1e-3)
    assert features[50, -3:] == pytest.approx(later, abs=1e-3)


def ears(path, shape, weights):
    """A network whose vector is what its input is like: samples, or features of every frame."""
    steps = [
        helper.make_node("MatMul", ["sound", "weights"], ["made"]),
        helper.make_node("Mul", ["made", "made"], ["power"]),
    ]
    if len(shape) == 3:
        steps.append(helper.make_node("ReduceMean", ["power"], ["voice"], axes=[1], keepdims=0))
    else:
        steps[-1].output[0] = "voice"
    graph = helper.make_graph(
        steps,
        "ears",
        [helper.make_tensor_value_info("sound", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("voice", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weights.astype(np.float32), "weights")],
    )
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


def tones(path, shape=("n", 25_600)):
    """Of the samples it hears a low and a high tone."""
    at_s = np.arange(25_600) / SOUND_HZ
    waves = [np.sin(2 * np.pi * hz * at_s) for hz in (LOW_HZ, HIGH_HZ)]
    return ears(path, list(shape), np.stack(waves, axis=1) / 100)


def sung(hz, length_s):
    at_s = np.arange(round(length_s * SOUND_HZ)) / SOUND_HZ
    return (0.3 * np.sin(2 * np.pi * hz * at_s)).astype(np.float32)


def stretch_of(samples, start_s=10.0):
    return Stretch(track=TRACK, start_ns=round(start_s * 1e9), samples=samples, voice=())


def vectors_of(prints):
    return [np.frombuffer(base64.b64decode(one.vector), np.int8).tolist() for one in prints]


@pytest.mark.parametrize("num_at_once", ["n", 1, 4])
def test_each_moment_has_a_vector_of_its_own_voice(tmp_path, num_at_once):
    weights = str(tones(tmp_path / "tones.onnx", (num_at_once, 25_600)))
    network = VoiceNetwork(VoicesConfig(weights=weights, input="samples"))
    stretch = stretch_of(np.concatenate([sung(LOW_HZ, 3.0), sung(HIGH_HZ, 0.5)]))
    prints = network.prints(stretch, [range_s(10.0, 13.0), range_s(13.0, 13.5)])
    assert (prints[0].span, prints[-1].span) == (range_s(10.0, 11.6), range_s(13.0, 13.5))
    assert prints[-2].span.end_ns == 13 * 10**9
    assert vectors_of(prints) == [[127, 0]] * (len(prints) - 1) + [[0, 127]]


def test_filters_are_given_to_a_network_that_wants_them(tmp_path):
    weights = ears(tmp_path / "mels.onnx", ["n", "t", 40], np.eye(40))
    network = VoiceNetwork(VoicesConfig(weights=str(weights), mels=40))
    [made] = network.prints(stretch_of(sung(LOW_HZ, 1.6)), [range_s(10.0, 11.6)])
    assert len(vectors_of([made])[0]) == 40


def test_settings_that_do_not_fit_the_network_are_told_at_once(tmp_path):
    weights = ears(tmp_path / "mels.onnx", ["n", "t", 40], np.eye(40))
    with pytest.raises(EngineStartError, match=r"does not take fbank \[2, 158, 80\].*set speech\."):
        VoiceNetwork(VoicesConfig(weights=str(weights)))
    with pytest.raises(EngineStartError, match=r"no\.onnx: is no file"):
        VoiceNetwork(VoicesConfig(weights=str(tmp_path / "no.onnx")))


def network_of(path, step, output=None, shape=("n", 25_600)):
    """A network of one step over the sound it hears."""
    weights = [] if output is None else [numpy_helper.from_array(output.astype(np.float32), "w")]
    graph = helper.make_graph(
        [helper.make_node(step, ["sound", "w"] if weights else ["sound"], ["voice"])],
        "one step",
        [helper.make_tensor_value_info("sound", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("voice", TensorProto.FLOAT, None)],
        weights,
    )
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return VoicesConfig(weights=str(path), input="samples", speakers={"Ada": "ada.wav"})


@pytest.mark.parametrize(
    ("step", "output", "shape", "why"),
    [
        ("ReduceMean", None, ("n", 25_600), r"gives \[1, 1\] for 2 voices"),
        ("MatMul", np.zeros((25_600, 0)), ("n", 25_600), r"gives \[2, 0\] for 2 voices"),
        ("MatMul", np.ones((25_600, 1)), ("n", 25_600), r"gives \[2, 1\] for 2 voices"),
        ("Identity", None, (0, 25_600), "takes 1 to 1024 voices at once"),
        ("Identity", None, (10**6, 25_600), "takes 1 to 1024 voices at once"),
    ],
    ids=["one for all", "empty", "a number", "none at once", "a million at once"],
)
def test_a_network_that_gives_no_vector_for_each_voice_is_refused(
    tmp_path, step, output, shape, why
):
    settings = network_of(tmp_path / "odd.onnx", step, output, shape)
    with pytest.raises(EngineStartError, match=why):
        VoiceNetwork(settings)


@pytest.mark.parametrize("number", [0.0, np.nan, np.inf, 1e38])
def test_a_voice_of_which_the_network_makes_no_vector_is_nobodys(tmp_path, number):
    output = np.full((25_600, 2), number)
    network = VoiceNetwork(network_of(tmp_path / "odd.onnx", "MatMul", output))
    low = stretch_of(np.ones(25_600, np.float32), 0)
    assert network.prints(low, [range_s(0, 1.6)]) == ()
    with pytest.raises(EngineStartError, match=r"speakers\.Ada: the network makes no vector"):
        network.know({"Ada": [(low, [range_s(0, 1.6)])]})


def test_known_voices_are_compared_with_every_moment(tmp_path):
    settings = VoicesConfig(
        weights=str(tones(tmp_path / "tones.onnx")),
        input="samples",
        speakers={"Ida": "ida.wav", "Ada": "ada.wav"},
    )
    network = VoiceNetwork(settings)
    all_of_it = [range_s(0, 2)]
    network.know(
        {
            "Ida": [(stretch_of(sung(HIGH_HZ, 2.0), 0), all_of_it)],
            "Ada": [(stretch_of(sung(LOW_HZ, 2.0), 0), all_of_it)],
        }
    )
    [made] = network.prints(stretch_of(sung(LOW_HZ, 1.6)), [range_s(10.0, 11.6)])
    assert made.alike == pytest.approx((1.0, 0.0), abs=1e-3)  # Ada, Ida
    with pytest.raises(EngineStartError, match=r"speakers\.Ada: nobody speaks in ada\.wav"):
        network.know({"Ada": [(stretch_of(sung(LOW_HZ, 2.0)), [])]})


def test_without_voices_nothing_is_opened():
    config = load_config(None, ("speech={kind: whisper, weights: w}",)).listening
    assert open_voices(config) is None
