"""The trainer's shortcuts give the numbers of the real thing, and a stopped run goes on."""

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from jobs.training.batches import IGNORED, Writer, draw_plan, even_frames, make_batch  # noqa: E402
from jobs.training.clip import make_clip  # noqa: E402
from jobs.training.forward import FastForward, Shape, patchify  # noqa: E402
from jobs.training.model import build  # noqa: E402
from jobs.training.serve import CLOCK_HZ, chat_text  # noqa: E402
from jobs.training.tokens import make_tokenizer, time_token  # noqa: E402
from pipeline.demo.language import PROMPT, UNSEEN_PROMPTS  # noqa: E402


@pytest.fixture(scope="module")
def demo():
    return build(seed=0)


def test_the_tokenizer_gives_back_every_text_and_a_time_is_one_token():
    tokenizer = make_tokenizer()
    for text in ("Héllo 12345 0.05 123.4 {x}\n", *UNSEEN_PROMPTS, '{"start":12.5,"end":99.9}'):
        assert tokenizer.decode(tokenizer(text).input_ids) == text
    for tenths in (0, 5, 10, 645, 999):
        assert len(tokenizer(time_token(tenths)).input_ids) == 1


@pytest.mark.parametrize(("num_frames", "size"), [(9, (96, 160)), (8, (128, 224))])
def test_the_fast_forward_equals_transformers(demo, num_frames, size):
    from transformers.video_utils import VideoMetadata

    height_px, width_px = size
    clip = make_clip(
        np.random.default_rng(3), num_frames=num_frames, height_px=height_px, width_px=width_px
    )
    metadata = VideoMetadata(
        total_num_frames=clip.frame_times_ms[-1] + 1,
        fps=CLOCK_HZ,
        frames_indices=list(clip.frame_times_ms),
        height=height_px,
        width=width_px,
        duration=1.0,
    )
    inputs = demo.processor(
        text=[f"{chat_text(PROMPT)}{clip.answer}<|im_end|>"],
        videos=[clip.frames],
        video_metadata=[metadata],
        do_sample_frames=False,
        return_tensors="pt",
    )
    frames = even_frames(clip)
    shape = Shape(len(frames) // 2, height_px // 16, width_px // 16)
    text = Writer(demo.tokenizer).write(shape, PROMPT, [(clip.markers, clip.events)])
    assert torch.equal(text.ids, inputs["input_ids"])
    pixels = torch.from_numpy(patchify(frames))
    assert torch.allclose(pixels.flatten(0, 1), inputs["pixel_values_videos"], atol=1e-6)
    fast = FastForward(demo.model)
    with torch.no_grad():
        cells, deep = fast.see(pixels, shape.rows, shape.columns)
        hidden = fast.read(
            text.ids,
            cells.flatten(0, 1)[None],
            [layer.flatten(0, 1)[None] for layer in deep],
            shape,
            text.answer_start,
        )
        expected = demo.model(**inputs).logits
    assert torch.allclose(fast.logits(hidden.final), expected, atol=1e-4)


def test_starts_point_at_their_patch_and_ends_at_the_place_after_theirs(demo):
    writer = Writer(demo.tokenizer)
    rng = np.random.default_rng(1)
    batch = make_batch(rng, writer, draw_plan(rng, batch_size=8, progress=1.0))
    close = demo.tokenizer.convert_tokens_to_ids("<|vision_end|>")
    ends = batch.shape.patch_ends_and_video_end().tolist()
    for row in range(len(batch.text.ids)):
        times = batch.text.times[row]
        assert torch.equal(batch.text.ids[row, batch.shape.patch_times()], times)
        assert all(batch.text.ids[row, place] == close for place in ends)
        for which, back in ((0, 0), (1, 1)):
            pointed = batch.text.pointed[row, which]
            for place in torch.nonzero(pointed != IGNORED).flatten().tolist():
                patch = ends.index(pointed[place].item()) - back
                assert batch.text.labels[row, place] == times[patch]


def test_a_stopped_run_goes_on_where_it_was_saved(tmp_path):
    from jobs.training.train import Trainer, TrainSettings

    short = TrainSettings(minutes=0.02, seed=3, num_validation_batches=1)
    Trainer(tmp_path, short).run()
    first = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert first["steps"] > 0
    resumed = Trainer(tmp_path, replace(short, minutes=first["trained_s"] / 60 + 0.05))
    resumed.run()
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert last["steps"] > first["steps"]
    assert last["trained_s"] >= first["trained_s"]
    with pytest.raises(ValueError, match="seed 3, not 4"):
        Trainer(tmp_path, replace(short, seed=4))
