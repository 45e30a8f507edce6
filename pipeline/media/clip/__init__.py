"""Cuts clips out of videos, exact to the frame, and joins them.

    write_clip     writes cuts into one file, and says what it shows
    still_picture  one frame in square pixels
    SUFFIXES       of the files that it writes

stretch   finds the packets of a cut in its file
copying   which packets can be copied as they are
pieces    where each cut and each frame lies in the clip
pictures  decodes frames in full size
canvas    makes frames of several files alike, and writes captions on them
encode    the video packets of a clip
sound     the samples of a cut
sound_track  the samples of all cuts as AAC
output    the new file
"""

from pipeline.media.clip.output import SUFFIXES
from pipeline.media.clip.still import still_picture
from pipeline.media.clip.write import OnProgress, write_clip

__all__ = ["SUFFIXES", "OnProgress", "still_picture", "write_clip"]
