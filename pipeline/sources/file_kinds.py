"""Which files of a folder are videos: by their name, or by their first bytes if it says nothing.

A file that the user names is always taken for a video.
"""

import os

from pipeline.storage.playlists import is_playlist

# fmt: off
_VIDEO_SUFFIXES = frozenset(
    {
        ".264", ".265", ".3g2", ".3gp", ".amv", ".asf", ".av1", ".avc", ".avi", ".dav", ".divx",
        ".dv", ".evo", ".f4v", ".flv", ".gif", ".h264", ".h265", ".hevc", ".insv", ".ivf", ".lrf",
        ".lrv", ".m1v", ".m2p", ".m2t", ".m2ts", ".m2v", ".m4s", ".m4v", ".mjpeg", ".mjpg", ".mkv",
        ".mov", ".mp2v", ".mp4", ".mpe", ".mpeg", ".mpg", ".mpv", ".mqv", ".mts", ".mxf", ".nut",
        ".obu", ".ogm", ".ogv", ".qt", ".rmvb", ".tod", ".tp", ".trp", ".ts", ".vob", ".vro",
        ".webm", ".wmv", ".wtv", ".y4m",
    }
)
_SOUND = (
    ".aac .ac3 .aif .aiff .amr .caf .flac .m4a .m4b .mka .mp3 .oga .ogg .opus .wav .weba .wma"
)
_SOUND_SUFFIXES = frozenset(_SOUND.split())
_OTHERS = {
    "a picture":
        ".arw .avif .bmp .cr2 .cr3 .dng .heic .heif .ico .insp .jpe .jpeg .jpg .nef .png .raw .svg"
        " .thm .tif .tiff .webp",
    "sound without a picture; `speech:` in the config indexes what is said": _SOUND,
    "notes of music": ".mid",
    "subtitles": ".ass .srt .ssa .sub .vtt",
    "a playlist": ".m3u .mpd .pls",
    "a text": ".cfg .conf .css .csv .doc .docx .htm .html .ini .js .json .jsonl .log .lst .md .nfo"
        " .odt .pdf .py .rtf .sh .txt .xls .xlsx .xml .yaml .yml",
    "data of a program": ".crc .db .db-shm .db-wal .ds_store .dll .idx .ifo .lnk .npy .parquet .pyc"
        " .sqlite .sqlite3 .so .url",
    "an archive; unpack it to index what it holds": ".7z .bz2 .gz .iso .rar .tar .tgz .xz .zip",
    "a copy that is not complete; give it the name of a video when it is":
        ".crdownload .download .filepart .part .partial .tmp",
    "a spare copy; give it the name of a video to index it": ".bak .old .orig",
    "a format that only its recorder plays; export it as MP4":
        ".blk .braw .bvr .crm .exe .g64 .g64x .r3d .ubv",
}
# fmt: on
_KIND_OF_SUFFIX = {suffix: kind for kind, text in _OTHERS.items() for suffix in text.split()}

NUM_HEAD_BYTES = 1024
NO_VIDEO = "neither its name nor its first bytes are those of a video"

_PACKET_BYTES = (188, 192, 204)
_STILL_BRANDS = (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"crx ", b"M4A ", b"M4B ", b"M4P ")
_BOXES = (b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"sidx", b"wide", b"skip")
_MAGICS = (
    b"\x1aE\xdf\xa3",  # Matroska, WebM
    b"FLV\x01",
    b"0&\xb2u\x8ef\xcf\x11",  # ASF, WMV
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",  # MPEG-1 and MPEG-2 pictures
    b"IMKH",  # program stream of Hikvision
    b"DHAV",
    b"\x06\x0e+4\x02\x05\x01\x01",  # MXF
    b"DKIF",
    b"YUV4MPEG2",
    b".RMF",
    b"nut/multimedia container",
)
# A parameter set of H.264, or that or an access unit delimiter of H.264 or HEVC.
_ANNEX_B_UNITS = (0x67, 0x27, 0x47, 0x09, 0x40, 0x42, 0x44, 0x46)


def is_video_name(name: str) -> bool:
    """Whether a file of this name in a folder is a video."""
    return os.path.splitext(name)[1].lower() in _VIDEO_SUFFIXES or is_playlist(name)


def is_sound_name(name: str) -> bool:
    """Whether a file of this name is a recording of sound alone."""
    return os.path.splitext(name)[1].lower() in _SOUND_SUFFIXES


def is_recording_name(name: str, *, sound: bool) -> bool:
    """Whether a file of this name in a folder is indexed; recordings of sound if wanted."""
    return is_video_name(name) or (sound and is_sound_name(name))


def other_kind(name: str) -> str:
    """What a file is by its name, if that is something else than a video; else ""."""
    if name.startswith("._"):
        return "data that macOS keeps beside a file"
    suffix = os.path.splitext(name)[1] or (name if name.startswith(".") else "")
    return _KIND_OF_SUFFIX.get(suffix.lower(), "")


def is_video_content(head: bytes) -> bool:
    """Whether a file begins as a video does; ``head`` is up to ``NUM_HEAD_BYTES`` long."""
    if head.startswith(_MAGICS):
        return True
    if head[4:8] in _BOXES:
        return head[8:12] not in _STILL_BRANDS
    if head.startswith(b"RIFF"):
        return head[8:12] == b"AVI "
    if head.startswith(b"OggS"):
        return b"theora" in head[:128] or b"OVP80" in head[:128]
    if head.startswith((b"\x00\x00\x00\x01", b"\x00\x00\x01")):
        return head[head.index(1) + 1 : head.index(1) + 2] in map(_byte, _ANNEX_B_UNITS)
    return any(_is_transport_stream(head, size) for size in _PACKET_BYTES)


def _byte(value: int) -> bytes:
    return bytes([value])


def _is_transport_stream(head: bytes, packet_bytes: int) -> bool:
    first = packet_bytes - 188 if packet_bytes == 192 else 0  # noqa: PLR2004 - time stamps go before
    syncs = head[first::packet_bytes]
    return len(syncs) >= 4 and set(syncs) == {0x47}  # noqa: PLR2004 - three would be chance
