"""The file name suffixes of videos."""

import os

from pipeline.storage.playlists import is_playlist

# fmt: off
VIDEO_SUFFIXES = frozenset(
    {
        ".264", ".265", ".3g2", ".3gp", ".amv", ".asf", ".av1", ".avc", ".avi", ".dav", ".divx",
        ".dv", ".evo", ".f4v", ".flv", ".gif", ".h264", ".h265", ".hevc", ".insv", ".ivf", ".lrf",
        ".lrv", ".m1v", ".m2p", ".m2t", ".m2ts", ".m2v", ".m4s", ".m4v", ".mjpeg", ".mjpg", ".mkv",
        ".mov", ".mp2v", ".mp4", ".mpe", ".mpeg", ".mpg", ".mpv", ".mqv", ".mts", ".mxf", ".nut",
        ".obu", ".ogm", ".ogv", ".qt", ".rmvb", ".tod", ".tp", ".trp", ".ts", ".vob", ".vro",
        ".webm", ".wmv", ".wtv", ".y4m",
    }
)
# fmt: on
"""Folders are searched for these; a file that the user names may have any suffix."""


def is_video_name(name: str) -> bool:
    """Whether a file of this name in a folder is a video."""
    return os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES or is_playlist(name)
