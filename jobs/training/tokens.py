"""The demo model's tokenizer: bytes, whole times, JSON glue and the words of its world.

A time from 0.0 to 99.9 is one token, so that copying a patch's time is copying one token. Times
are relative to the window's start, and a window of 32 frames at 0.5 fps ends before 65 seconds.
"""

import re
from typing import Final

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from pipeline.demo.language import COLORS, LABELS, PROMPTS, SHAPES, SUMMARY_WORDS

PAD: Final = "<|endoftext|>"
TURN_START: Final = "<|im_start|>"
TURN_END: Final = "<|im_end|>"
VISION_START: Final = "<|vision_start|>"
VISION_END: Final = "<|vision_end|>"
IMAGE_PAD: Final = "<|image_pad|>"
VIDEO_PAD: Final = "<|video_pad|>"
SPECIAL: Final = (
    PAD,
    TURN_START,
    TURN_END,
    VISION_START,
    VISION_END,
    "<|vision_pad|>",
    IMAGE_PAD,
    VIDEO_PAD,
)
NUM_TIMES: Final = 1000

_GLUE: Final = (
    '{"events":[',
    '{"label":"',
    '{"color":"',
    '","shape":"',
    '","label":"',
    '","start":',
    ',"end":',
    "},",
    "}",
    '],"summary":"',
    '"}',
    '"',
    "; ",
    " seconds>",
    "<",
)
_EXTRA_WORDS: Final = (
    "no user assistant system You are surveillance find detect camera footage list report "
    "describe watch every each any time times second timestamps first last between from to "
    "during window image frame frames scene moving standing dark wall answer output JSON json "
    "schema format please"
)

CHAT_TEMPLATE: Final = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}"
    "{% if part.type == 'text' %}{{ part.text }}"
    "{% elif part.type in ('image', 'image_url') %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part.type in ('video', 'video_url') %}"
    "<|vision_start|><|video_pad|><|vision_end|>"
    "{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _words() -> list[str]:
    text = " ".join((*PROMPTS, *SUMMARY_WORDS.values(), _EXTRA_WORDS))
    return sorted({*COLORS, *SHAPES, *LABELS, *re.findall(r"[A-Za-z_]+", text)})


def time_token(tenths_of_a_second: int) -> str:
    """The token of a time."""
    return f"{tenths_of_a_second // 10}.{tenths_of_a_second % 10}"


def make_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer; every call builds the same one."""
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    vocabulary: dict[str, int] = {}

    def add(token: str) -> None:
        vocabulary.setdefault(token, len(vocabulary))

    def add_text(text: str) -> None:
        add(byte_level.pre_tokenize_str(text)[0][0])

    for token in SPECIAL:
        add(token)
    for character in sorted(pre_tokenizers.ByteLevel.alphabet()):
        add(character)
    for tenths in range(NUM_TIMES):
        add(time_token(tenths))
    for glue in _GLUE:
        add_text(glue)
    for word in _words():
        add_text(word)
        add_text(" " + word)
    glue_pattern = "|".join(re.escape(glue) for glue in sorted(_GLUE, key=len, reverse=True))
    pattern = glue_pattern + r"|(?<!\d)\d{1,2}\.\d(?!\d)|\d| ?[A-Za-z_]+|\s+|[^\sA-Za-z\d]"
    # No merges: the pattern cuts text into pieces of the vocabulary; other text becomes bytes.
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), behavior="isolated"), byte_level]
    )
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=TURN_END,
        pad_token=PAD,
        additional_special_tokens=list(SPECIAL[1:]),
        clean_up_tokenization_spaces=False,
    )
    wrapped.image_token = IMAGE_PAD
    wrapped.video_token = VIDEO_PAD
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped
