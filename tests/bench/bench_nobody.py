"""``python -m tests.bench.bench_nobody``: what a real Whisper hears where nobody speaks.

Half an hour of silence, noise, hum, music and clicks, each as a recording of its own.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer

from pipeline.config import load_config
from pipeline.engine import open_speech
from pipeline.flow.task.listen import listen, plan_source
from pipeline.flow.task.stages import Planned
from pipeline.records import WindowResult
from pipeline.tables.said import read_said
from tests.sounds import RATE_HZ, make_sound
from tests.speech.weights import fetch
from tests.videos import source_of

Wave = npt.NDArray[np.float64]
_NOTES_HZ = (262, 294, 330, 349, 392, 440, 494, 523)


def silence(at_s: Wave, _noise: np.random.Generator) -> Wave:
    """Nothing at all."""
    return np.zeros_like(at_s)


def white_noise(at_s: Wave, noise: np.random.Generator) -> Wave:
    """As of a cheap microphone."""
    return noise.normal(0, 0.05, len(at_s))


def brown_noise(at_s: Wave, noise: np.random.Generator) -> Wave:
    """As of wind and traffic, louder and softer every few seconds."""
    steps = noise.normal(0, 1, len(at_s))
    smooth = np.cumsum(steps - steps.mean())
    smooth -= np.convolve(smooth[::480], np.ones(50) / 50, "same").repeat(480)[: len(at_s)]
    return 0.2 * smooth / np.abs(smooth).max() * (1 + np.sin(at_s)) / 2


def hum(at_s: Wave, _noise: np.random.Generator) -> Wave:
    """Of the mains, with its harmonics, as of a fan or a light."""
    return sum(0.1 / n * np.sin(2 * np.pi * 50 * n * at_s) for n in range(1, 8))


def music(at_s: Wave, noise: np.random.Generator) -> Wave:
    """Plucked notes of a melody with two voices."""
    tune = np.zeros_like(at_s)
    for beat_s, octave in ((0.4, 1.0), (0.8, 0.5)):
        into_s = at_s % beat_s
        pitches = noise.choice(_NOTES_HZ, int(at_s[-1] // beat_s) + 1) * octave
        hz = pitches[(at_s // beat_s).astype(int)]
        tones = (np.sin(2 * np.pi * hz * n * into_s) / n**2 for n in range(1, 5))
        tune += 0.2 * np.exp(-5 * into_s) * sum(tones)
    return tune


def clicks(at_s: Wave, noise: np.random.Generator) -> Wave:
    """Of a keyboard: short bursts of noise at uneven times."""
    starts = noise.choice(len(at_s), int(at_s[-1] * 4), replace=False)
    struck = np.zeros_like(at_s)
    struck[starts] = noise.uniform(0.2, 0.9, len(starts))
    burst = noise.normal(0, 1, 960) * np.exp(-np.arange(960) / 120)
    return np.convolve(struck, burst, "same").clip(-1, 1)


KINDS: tuple[Callable[[Wave, np.random.Generator], Wave], ...] = (
    silence,
    white_noise,
    brown_noise,
    hum,
    music,
    clicks,
)


def main(
    weights: Annotated[Path, typer.Option(help="Whisper tiny.en, fetched if missing.")],
    minutes: Annotated[float, typer.Option(min=0.1, help="Of each kind of sound.")] = 5.0,
) -> None:
    """Print a row for each kind of sound."""
    config = load_config(None, (f"speech={{kind: whisper, weights: {fetch(weights)}}}",)).listening
    assert config is not None
    engine = open_speech(config)
    typer.echo("| sound | minutes | windows asked | failed | words | CPU s |")
    typer.echo("|---|---|---|---|---|---|")
    total = 0
    for kind in KINDS:
        began_s = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            at_s = np.arange(round(minutes * 60 * RATE_HZ)) / RATE_HZ
            wave = kind(at_s, np.random.default_rng(1)).astype(np.float32)
            path = make_sound(Path(folder) / "a.flac", [(wave, 0.0)], codec="flac")
            planned = plan_source(source_of(path), config)
            assert isinstance(planned, Planned)
            results = [one for shard in planned.shards for one in listen(shard, config, engine)]
        heard = [one for one in results if isinstance(one, WindowResult)]
        words = sum(len(said.text.split()) for one in heard for said in _said(one))
        total += words
        asked = sum(one.status != "quiet" for one in heard)
        failed = sum(one.status == "failed" for one in heard)
        typer.echo(
            f"| {kind.__name__.replace('_', ' ')} | {minutes:g} | {asked} | {failed} | {words}"
            f" | {time.process_time() - began_s:.1f} |"
        )
    typer.echo(f"\n{total} words in {minutes * len(KINDS):g} minutes in which nobody speaks")


def _said(result: WindowResult) -> tuple:
    return read_said(result.text, result.span) if result.status == "analysed" else ()


if __name__ == "__main__":
    typer.run(main)
