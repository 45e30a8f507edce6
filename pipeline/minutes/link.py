"""Which page is on the screen while somebody speaks: by the media time of one video. Pure.

Nothing of it is stored: utterances and slides come from two passes, each of which may run again.
"""

from collections.abc import Iterable, Sequence

from pipeline.records import Slide, Utterance


def pages_on_screen(
    utterances: Iterable[Utterance], slides: Sequence[Slide]
) -> dict[str, Slide | None]:
    """By id of the utterance the slide that is shown for most of it; None if none is shown.

    Args:
        utterances: of one video.
        slides: of the same video, of one task, so that no two are shown at once.
    """
    ordered = sorted(slides, key=lambda slide: slide.media)
    shown: dict[str, Slide | None] = {}
    first = 0
    for one in sorted(utterances, key=lambda utterance: utterance.media):
        while first < len(ordered) and ordered[first].media.end_ns <= one.media.start_ns:
            first += 1
        best, longest_ns = None, 0
        for slide in ordered[first:]:
            if slide.media.start_ns >= one.media.end_ns:
                break
            start_ns = max(slide.media.start_ns, one.media.start_ns)
            overlap_ns = min(slide.media.end_ns, one.media.end_ns) - start_ns
            if overlap_ns > longest_ns:
                best, longest_ns = slide, overlap_ns
        shown[one.utterance_id] = best
    return shown
