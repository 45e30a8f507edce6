"""``python -m tests.bench.bench_speakers --voices FILE``: who speaks when, by the voices alone.

A real Whisper and a real network listen to dialogues of one track, as in an indexing run; the
number of speakers is not told. The diarisation error rate counts missed, invented and confused
speech, in steps of 10 ms, without and with a collar of 0.25 s around each border of the truth:
of the utterances, and of the voices (as if every tenth of a second of speech were a word).
"""

import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer
from scipy.optimize import linear_sum_assignment

from pipeline.config import Config, load_config
from pipeline.engine import open_speech
from pipeline.flow.driver.finish import finish_videos, voice_rules
from pipeline.flow.driver.ledger import WholeVideo
from pipeline.flow.task.enrol import open_voices
from pipeline.flow.task.listen import listen, plan_source
from pipeline.flow.task.stages import Planned
from pipeline.records import Said, WindowResult, Word
from pipeline.speech import told_by_voice
from pipeline.tables.shared import Provenance
from pipeline.timebase import NS_PER_S, TimeRange, joined
from tests.bench.dialogues import RATE_HZ, Turn, dialogue, read_rttm, samples_of, write_wav
from tests.speech import voice_weights, weights
from tests.videos import footage_dir, source_of

_STEPS_PER_S = 100
_MADE_BY = Provenance(task="speech", model="", prompt_id="", fingerprint="", config="")
_GENERATED = (
    ("slt", "awb"),
    ("rms", "awb"),
    ("slt", "rms", "kal16"),
    ("slt", "rms", "kal16", "awb"),
    ("slt",),
    ("rms",),
)

Frames = npt.NDArray[np.bool_]


def error_rate(truth: Sequence[Turn], told: Sequence[Turn], collar_s: float) -> float:
    """Missed, invented and confused speech as a share of what was spoken."""
    steps = 1 + round(max(one.end_s for one in (*truth, *told)) * _STEPS_PER_S)
    counts = np.ones(steps, bool)
    for one in truth if collar_s else ():
        for border_s in (one.start_s, one.end_s):
            low, high = (border_s + side * collar_s for side in (-1, 1))
            counts[max(0, round(low * _STEPS_PER_S)) : round(high * _STEPS_PER_S)] = False
    real, found = (_frames(turns, steps)[counts] for turns in (truth, told))
    common = real.T.astype(np.int64) @ found
    matched = common[linear_sum_assignment(-common)].sum()
    spoken, heard = real.sum(axis=1), found.sum(axis=1)
    wrong = np.maximum(spoken, heard).sum() - matched
    return float(wrong / spoken.sum())


def main(
    voices: Annotated[Path, typer.Option(help="The ONNX file; made if it is not there.")],
    whisper: Annotated[Path, typer.Option(help="The weights; fetched if they are not there.")],
    same: float = 0.7,
    seed: int = 1,
) -> None:
    """Print a line for each dialogue."""
    overrides = (
        f"speech={{kind: whisper, language: en, weights: {weights.fetch(whisper)}}}",
        f"speech.voices={{weights: {voice_weights.fetch(voices)}, input: samples, same: {same}}}",
    )
    config = load_config(None, overrides).listening
    assert config is not None
    footage = footage_dir()
    cases = {" ".join(names): dialogue(names, seed) for names in _GENERATED}
    for rttm in sorted((footage / "gt").glob("*.rttm")) if footage else ():
        cases[rttm.stem] = samples_of(footage / "real" / f"{rttm.stem}.wav"), read_rttm(rttm)
    rates = []
    typer.echo(
        "| dialogue | speakers | found | voices | collar | utterances | collar | CPU s an hour |"
    )
    typer.echo("|---|---|---|---|---|---|---|---|")
    for name, (samples, truth) in cases.items():
        voices_told, told, cost_s = _heard(samples, config)
        of_case = [
            error_rate(truth, one, collar_s)
            for one in (voices_told, told)
            for collar_s in (0.0, 0.25)
        ]
        rates.append(of_case)
        found = len({one.speaker for one in told if one.speaker})
        figures = " | ".join(f"{rate:.3f}" for rate in of_case)
        hourly_s = cost_s * 3600 * RATE_HZ / len(samples)
        typer.echo(
            f"| {name} | {len({one.speaker for one in truth})} | {found} | {figures}"
            f" | {hourly_s:.0f} |"
        )
    typer.echo(
        "| mean | | | " + " | ".join(f"{rate:.3f}" for rate in np.mean(rates, axis=0)) + " | |"
    )


def _heard(
    samples: npt.NDArray[np.float32], config: Config
) -> tuple[list[Turn], list[Turn], float]:
    """Who speaks when, by the voices and by the utterances; CPU seconds of the network."""
    engine, network = open_speech(config), open_voices(config)
    assert network is not None
    spent = [0.0]
    prints = network.prints

    def timed(*args, **kwargs):
        began_s = time.process_time()
        try:
            return prints(*args, **kwargs)
        finally:
            spent[0] += time.process_time() - began_s

    network.prints = timed
    with TemporaryDirectory() as folder:
        path = write_wav(Path(folder) / "dialogue.wav", samples)
        planned = plan_source(source_of(path), config)
        assert isinstance(planned, Planned), planned
        results = [
            one
            for shard in planned.shards
            for one in listen(shard, config, engine, network)
            if isinstance(one, WindowResult)
        ]
    whole = WholeVideo(video=planned.video, num_shards=1, results=tuple(results))
    finished = finish_videos([whole], config=config, provenance=_MADE_BY)
    rows = finished.utterances.to_pylist()
    told = [Turn(row["media_start"], row["media_end"], row["speaker"]) for row in rows]
    return _by_voices(results, config), told, spent[0]


def _by_voices(results: Sequence[WindowResult], config: Config) -> list[Turn]:
    """Who speaks when, if each tenth of a second in which a voice is heard were a word."""
    prints = [one for result in results for one in result.voices]
    said = []
    for span in joined(one.span for one in prints):
        starts = range(span.start_ns, span.end_ns, NS_PER_S // 10)
        borders = [*starts, span.end_ns]
        words = tuple(Word(span=TimeRange(*pair), text="x") for pair in pairwise(borders))
        said.append(Said(span=span, text="x", track=0, words=words))
    [(_, told)] = told_by_voice([("", said)], prints, voice_rules(config.voices))
    return [
        Turn(one.span.start_ns / NS_PER_S, one.span.end_ns / NS_PER_S, one.speaker) for one in told
    ]


def _frames(turns: Sequence[Turn], steps: int) -> Frames:
    """Who speaks in each step [steps, speakers]."""
    names = sorted({one.speaker for one in turns})
    frames = np.zeros((steps, len(names)), bool)
    for one in turns:
        low, high = round(one.start_s * _STEPS_PER_S), round(one.end_s * _STEPS_PER_S)
        frames[low:high, names.index(one.speaker)] = True
    return frames


if __name__ == "__main__":
    typer.run(main)
