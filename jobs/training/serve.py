"""Asks the demo model about clips, with vLLM or with transformers, as the pipeline does."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pipeline.demo
from jobs.training.clip import Clip
from jobs.training.exam import Ask
from pipeline.demo.language import answer_schema

CHECKPOINT: Final = Path(pipeline.demo.__file__).parent / "checkpoint"
# Frame indices count milliseconds, so that any frame time is exact.
CLOCK_HZ: Final = 1000
_MAX_ANSWER_TOKENS: Final = 256
_MAX_PROMPT_AND_ANSWER_TOKENS: Final = 2048
_MAX_FRAMES: Final = 32
_KV_CACHE_BYTES: Final = 256 * 2**20
_MAX_HEIGHT_PX: Final = 224
_MAX_WIDTH_PX: Final = 384


def open_vllm(checkpoint: Path = CHECKPOINT) -> Ask:
    """Load vLLM; returns a function that answers clips, greedily and with the schema enforced."""
    from vllm import LLM, SamplingParams  # noqa: PLC0415  # heavy, and absent in a light install
    from vllm.sampling_params import StructuredOutputsParams  # noqa: PLC0415

    model = LLM(
        model=str(checkpoint),
        dtype="float32",
        max_model_len=_MAX_PROMPT_AND_ANSWER_TOKENS,
        # Enough for the encoder to take one window of the largest frames at once.
        max_num_batched_tokens=_MAX_PROMPT_AND_ANSWER_TOKENS,
        enforce_eager=True,
        max_num_seqs=16,
        # By default vLLM takes most of the machine's memory.
        kv_cache_memory_bytes=_KV_CACHE_BYTES,
        limit_mm_per_prompt={
            "image": 0,
            "video": {
                "count": 1,
                "num_frames": _MAX_FRAMES,
                "width": _MAX_WIDTH_PX,
                "height": _MAX_HEIGHT_PX,
            },
        },
        structured_outputs_config={"backend": "xgrammar", "disable_any_whitespace": True},
    )
    sampling = SamplingParams(
        temperature=0.0,
        max_tokens=_MAX_ANSWER_TOKENS,
        structured_outputs=StructuredOutputsParams(json=answer_schema()),
    )

    def ask(clips: Sequence[Clip], prompts: Sequence[str]) -> list[str]:
        requests = [_request(clip, prompt) for clip, prompt in zip(clips, prompts, strict=True)]
        outputs = model.generate(requests, sampling, use_tqdm=False)
        return [output.outputs[0].text for output in outputs]

    return ask


def _request(clip: Clip, prompt: str) -> dict[str, Any]:
    times_ms = list(clip.frame_times_ms)
    metadata = {
        "fps": CLOCK_HZ,
        "frames_indices": times_ms,
        "total_num_frames": times_ms[-1] + 1,
        "duration": (times_ms[-1] + 1) / CLOCK_HZ,
        "video_backend": "frames",
        "do_sample_frames": False,
    }
    return {
        "prompt": chat_text(prompt),
        "multi_modal_data": {"video": [(clip.frames, metadata)]},
        "mm_processor_kwargs": {"do_sample_frames": False},
    }


def chat_text(prompt: str) -> str:
    """One user turn of a video and a question, as the model's chat template renders it."""
    video = "<|vision_start|><|video_pad|><|vision_end|>"
    return f"<|im_start|>user\n{video}{prompt}<|im_end|>\n<|im_start|>assistant\n"


def open_transformers(checkpoint: Path = CHECKPOINT) -> Ask:
    """Load transformers; returns a function that answers clips greedily, without a schema."""
    import torch  # noqa: PLC0415  # heavy, and absent in a light install
    from transformers import (  # noqa: PLC0415
        AutoProcessor,
        Qwen3VLForConditionalGeneration,
    )
    from transformers.video_utils import VideoMetadata  # noqa: PLC0415

    model = Qwen3VLForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(checkpoint)

    def ask_one(clip: Clip, prompt: str) -> str:
        times_ms = list(clip.frame_times_ms)
        metadata = VideoMetadata(
            total_num_frames=times_ms[-1] + 1,
            fps=CLOCK_HZ,
            frames_indices=times_ms,
            height=clip.frames.shape[1],
            width=clip.frames.shape[2],
            duration=(times_ms[-1] + 1) / CLOCK_HZ,
        )
        inputs = processor(
            text=[chat_text(prompt)],
            videos=[clip.frames],
            video_metadata=[metadata],
            do_sample_frames=False,
            return_tensors="pt",
        )
        with torch.no_grad():
            ids = model.generate(**inputs, max_new_tokens=_MAX_ANSWER_TOKENS, do_sample=False)
        answer = ids[0, inputs["input_ids"].shape[1] :]
        return str(processor.tokenizer.decode(answer, skip_special_tokens=True))

    def ask(clips: Sequence[Clip], prompts: Sequence[str]) -> list[str]:
        return [ask_one(clip, prompt) for clip, prompt in zip(clips, prompts, strict=True)]

    return ask


ENGINES: Final[dict[str, Callable[[Path], Ask]]] = {
    "vllm": open_vllm,
    "transformers": open_transformers,
}
