"""The only package that uses FFmpeg: packets, frames and small pictures of one video.

    probe           what a file contains and when, from its packets
    decode_frames   the wanted frames of one packet range, bit-exact, each with its own pts
    source_size     upright size of the source, to map boxes from small pictures
    target_size     size of the colour pictures for a model
    luma_size       size of the grey pictures
    save_jpeg       writes one colour picture to disk
    small_webp      one colour picture, small enough to be kept as evidence
    webp_of         a picture in that form

container       opens a file and selects its video stream
failures        explains what is wrong with a file that FFmpeg refuses
packets         probe: describes a file by its packets
packet_scan     collects the packets into the packet index
demux           reads packets, in the same order each time
clock_jumps     times of a stream whose clock wraps, starts again or leaps
playlist_time   times of segments, as their playlist states them
timeline        footage, gaps
clocks          clocks inside a file, and which of them gives its start
gopro           chapters of GoPro cameras, and their telemetry
pts_recovery    presentation times where a container has none
decode          decides what to decode, to skip and to decode again
reader          reads packets by their row, and verifies them with the packet index
codec           decodes packets to pictures, and reports damage
nal             recognizes packets that the decoder may skip
reorder_buffer  puts frames in presentation order, and marks those of damaged GOPs
frame_spill     keeps colour pictures on disk when the reorder buffer is full
pixels          sizes and colours
player_clip     the frames of a stretch as a clip that a browser plays while it is made
"""

from pipeline.media.decode import decode_frames
from pipeline.media.packets import probe
from pipeline.media.pixels import (
    WEBP_WIDTH,
    luma_size,
    save_jpeg,
    small_webp,
    source_size,
    target_size,
    webp_of,
)

__all__ = [
    "WEBP_WIDTH",
    "decode_frames",
    "luma_size",
    "probe",
    "save_jpeg",
    "small_webp",
    "source_size",
    "target_size",
    "webp_of",
]
