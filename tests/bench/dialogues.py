"""Dialogues of which it is known who speaks when: by voices of Debian's package ``flite``."""

import random
import subprocess
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

RATE_HZ = 16_000
_LINES = """
Good morning everybody and welcome to the review. | Can you hear me well on the other side? |
Yes, we can hear you, please go ahead. | The pilot runs in three regions now. |
Latency fell by forty percent since the spring. | That is good news, but what about the price? |
The gateway costs one thousand two hundred euros, and support is ninety nine euros a year. |
I think that is too expensive for the small customers. | Maybe. |
We could offer a discount if they sign before Friday. | Who will write the contract? |
I will do it, and I send it to you on Wednesday. | Okay. |
The security audit is still open, and nobody has found the time to answer the auditor. |
Let us talk about that after lunch. | I have one more question about the road map. |
When does the wireless version come? | It comes in April, if the supplier keeps his word. |
He did not keep it last year. | No, but this time we have a second supplier in the Netherlands. |
Fine, then we are done for today. | Thank you all, and goodbye.
"""
_GAP_S = (0.15, 0.7)
_LOUDER_DB = (-6.0, 3.0)
_GOES_ON = 0.3
"""How often somebody says two lines one after the other."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody speaks, in seconds."""

    start_s: float
    end_s: float
    speaker: str


def dialogue(voices: tuple[str, ...], seed: int) -> tuple[npt.NDArray[np.float32], list[Turn]]:
    """Samples, and who speaks when."""
    chance = random.Random(seed)
    noise = np.random.default_rng(seed)
    pieces, turns, at_s, last = [np.zeros(RATE_HZ // 2, np.float32)], [], 0.5, ""
    for line in " ".join(_LINES.split()).split("|"):
        if last == "" or chance.random() >= _GOES_ON:
            last = chance.choice([voice for voice in voices if voice != last] or list(voices))
        samples = _spoken(last, line.strip())
        samples *= 0.1 / np.sqrt(np.square(samples).mean())
        samples *= 10 ** (chance.uniform(*_LOUDER_DB) / 20)
        end_s = at_s + len(samples) / RATE_HZ
        turns.append(Turn(at_s, end_s, last))
        gap = round(chance.uniform(*_GAP_S) * RATE_HZ)
        pieces += [samples, np.zeros(gap, np.float32)]
        at_s = end_s + gap / RATE_HZ
    whole = np.concatenate(pieces)
    return whole + noise.normal(0, 0.001, len(whole)).astype(np.float32), turns


def read_rttm(path: Path) -> list[Turn]:
    """The turns of a file."""
    lines = [line.split() for line in path.read_text().splitlines() if line]
    return [Turn(float(q[3]), float(q[3]) + float(q[4]), q[7]) for q in lines]


def samples_of(path: Path) -> npt.NDArray[np.float32]:
    """The sound of a file [N]."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
    with av.open(str(path)) as container:
        frames = [*container.decode(audio=0), None]
        blocks = [made.to_ndarray()[0] for one in frames for made in resampler.resample(one)]
    return np.concatenate(blocks).astype(np.float32)


def write_wav(path: Path, samples: npt.NDArray[np.float32]) -> Path:
    """One track of 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(np.rint(samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return path


def _spoken(voice: str, text: str) -> npt.NDArray[np.float32]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "line.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True)
        samples = samples_of(path)
    loud = np.flatnonzero(np.abs(samples) > np.abs(samples).max() / 100)
    return samples[loud[0] : loud[-1] + 1]
