"""A recording with a track for each speaker tells who speaks, by what the file calls its tracks."""

import pytest

from pipeline.records import SoundTrack
from pipeline.speech import speakers_by_track


@pytest.mark.parametrize(
    ("named", "speakers"),
    [
        ([], []),
        ([("Ada", "en")], [""]),
        ([("Ada", "eng"), ("Grace", "eng")], ["Ada", "Grace"]),
        ([("", "eng"), ("", "zho")], ["eng", "zho"]),
        ([("", "eng"), ("", "eng")], ["eng track 1", "eng track 2"]),
        ([("", ""), ("Grace", ""), ("", "")], ["track 1", "Grace", "track 3"]),
        ([("Mic", ""), ("Mic", "eng")], ["Mic track 1", "Mic track 2"]),
    ],
)
def test_a_track_is_called_by_its_title_its_language_or_its_number(named, speakers):
    tracks = [
        SoundTrack(number=number, stream_index=number + 1, title=title, language=language)
        for number, (title, language) in enumerate(named)
    ]
    assert list(speakers_by_track(tracks).values()) == speakers
