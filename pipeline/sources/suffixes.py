"""The file name suffixes of videos."""

import os

# fmt: off
VIDEO_SUFFIXES = frozenset(
    {
        ".264", ".265", ".3gp", ".asf", ".avi", ".divx", ".dv", ".flv", ".gif", ".h264",
        ".h265", ".hevc", ".m2t", ".m2ts", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4",
        ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv",
    }
)
# fmt: on
"""Folders are searched for these; a file that the user names may have any suffix."""


def is_video_name(name: str) -> bool:
    """Whether a file of this name in a folder is a video."""
    return os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES
