"""What is said in a video, sentence by sentence: an utterance is one speaker's, and in one go."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from pipeline.records import Said, Utterance, Video, Word, make_id
from pipeline.timebase import NS_PER_S, TimeRange

# Inside a number or an abbreviation a full stop is not the last character of a word.
_ENDS = re.compile(r"[.?!\u3002\uff1f\uff01\u2026][\"'\u201d\u2019)\]]*$")
_MAX_PAUSE_NS = NS_PER_S
_MAX_LENGTH_NS = 30 * NS_PER_S


def utterances_of_video(
    video: Video, answers: Iterable[tuple[str, Sequence[Said]]], *, task: str
) -> list[Utterance]:
    """The utterances of each window: its id, and what was said in it (media time)."""
    return [
        _utterance(video, part, window_id, task, number)
        for window_id, said in answers
        for number, part in enumerate(part for one in said for part in sentences(one))
    ]


def sentences(said: Said) -> list[Said]:
    """The sentences, if the engine timed the words; else what was said as it is."""
    if not said.words:
        return [said] if said.text.strip() else []
    parts: list[list[Word]] = [[]]
    for word in said.words:
        part = parts[-1]
        if part and (
            _ENDS.search(part[-1].text)
            or word.span.start_ns - part[-1].span.end_ns >= _MAX_PAUSE_NS
            or word.span.end_ns - part[0].span.start_ns > _MAX_LENGTH_NS
        ):
            parts.append([])
        parts[-1].append(word)
    return [
        replace(
            said,
            span=TimeRange(part[0].span.start_ns, max(word.span.end_ns for word in part)),
            text=text,
            words=tuple(part),
        )
        for part in parts
        if (text := text_of(part))
    ]


def text_of(words: Sequence[Word]) -> str:
    """The words as a text; there are no spaces beside Chinese and Japanese characters."""
    text = ""
    for word in words:
        part = word.text.strip()
        if text and part and not (_is_ideograph(text[-1]) or _is_ideograph(part[0])):
            text += " "
        text += part
    return text


def _is_ideograph(letter: str) -> bool:
    return "\u3000" <= letter <= "\u9fff" or "\uff00" <= letter <= "\uffef"


def _utterance(video: Video, said: Said, window_id: str, task: str, number: int) -> Utterance:
    sure = [word.probability for word in said.words if word.probability is not None]
    return Utterance(
        utterance_id=make_id(video.video_id, task, window_id, number, said.track, said.span),
        camera=video.camera,
        video_id=video.video_id,
        uri=video.uri,
        span=video.utc(said.span),
        media=said.span,
        track=said.track,
        speaker=said.speaker,
        language=said.language,
        text=said.text,
        words=tuple(
            Word(span=video.utc(word.span), text=word.text, probability=word.probability)
            for word in said.words
        ),
        confidence=sum(sure) / len(sure) if sure else None,
        window_ids=(window_id,),
        speaker_confidence=said.speaker_confidence,
    )
