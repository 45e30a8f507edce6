"""What tells the speakers of one track apart by their voices, beside any engine that listens."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.section import ByFile, Operational, Section

SpeakerName = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,64}$")]


class VoicesConfig(Section):
    """A network that makes a vector of a voice, and which voices have names."""

    weights: ByFile[str]
    """An ONNX file that gives one vector for each voice; it is never downloaded."""
    input: Literal["samples", "fbank"] = "fbank"
    """What it takes: ``samples`` [N, T] at 16 kHz from -1 to 1, or the logarithms of Kaldi's mel
    filters [N, T, mels], which most networks of WeSpeaker and 3D-Speaker take."""
    mels: int = Field(default=80, ge=8, le=256)
    """Filters of ``fbank``."""
    window: Literal["hamming", "povey"] = "hamming"
    """The window of ``fbank``: ``hamming`` for WeSpeaker, ``povey`` for 3D-Speaker."""
    same: float = Field(default=0.5, gt=-1, lt=1)
    """Voices whose vectors have a greater mean cosine are one speaker. It depends on the network:
    more makes more speakers, less makes fewer."""
    least_confidence: float = Field(default=0.6, ge=0, le=1)
    """Where it is less sure who speaks, the speaker is left empty."""
    speakers: ByFile[dict[SpeakerName, str]] = Field(default_factory=dict)
    """Name -> a recording of 5 seconds or more in which nobody else speaks, on every node. Whoever
    has no name here is ``speaker 1``, ``speaker 2`` in the order of the video."""
    threads: Operational[int] = Field(default=1, gt=0)
    """CPU threads of the network in one replica."""
