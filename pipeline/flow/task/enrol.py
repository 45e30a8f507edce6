"""Opens what tells voices apart, and lets it hear the voices whose names are known."""

from collections.abc import Sequence

from pipeline.config import Config
from pipeline.engine.voice_activity import SAMPLES_PER_VALUE, voice_probabilities
from pipeline.engine.voices import VoiceNetwork
from pipeline.errors import EngineStartError, SourceError
from pipeline.media.sound import probe_sound, read_sound
from pipeline.records import Source, Stretch
from pipeline.speech import turns
from pipeline.storage.access import PUBLIC
from pipeline.timebase import NS_PER_S, TimeRange

_SAMPLE_NS = 120 * NS_PER_S
"""So much of a sample is heard; more says nothing new of a voice."""


def open_voices(config: Config) -> VoiceNetwork | None:
    """The configured network; None if speakers are not told apart by their voices.

    Raises:
        EngineStartError: the network, or the sample of a voice, cannot be used.
    """
    if config.voices is None:
        return None
    network = VoiceNetwork(config.voices)
    network.know(
        {name: _sample(name, path, config) for name, path in config.voices.speakers.items()}
    )
    return network


def _sample(name: str, path: str, config: Config) -> Sequence[tuple[Stretch, Sequence[TimeRange]]]:
    """The first minutes of a recording, and where somebody speaks in them."""
    source = Source(uri=path, num_bytes=0, etag="", camera="", start_ns=None, clock="none")
    try:
        sound = probe_sound(source, sample=config.sample, decode=config.decode)
        track, begin = next(zip(sound.tracks, sound.video.footage, strict=False))
        span = TimeRange(begin.start_ns, min(begin.end_ns, begin.start_ns + _SAMPLE_NS))
        samples, _ = read_sound(sound.video, track, span, access=PUBLIC)
    except StopIteration as exc:
        raise EngineStartError(f"speech.voices.speakers.{name}={path}: has no sound") from exc
    except SourceError as exc:
        raise EngineStartError(f"speech.voices.speakers.{name}: {exc}") from exc
    stretch = Stretch(track=track, start_ns=span.start_ns, samples=samples, voice=())
    return [(stretch, turns(voice_probabilities(samples), SAMPLES_PER_VALUE, span))]
