"""The only place that knows FFmpeg: packets, frames and small pictures of one video.

    probe           what a file holds and when, from its packets
    decode_frames   the wanted frames of one packet range, bit-exact, each with its own pts
    source_size     upright size of the source, to map boxes from small pictures
    target_size     size of the colour pictures a model gets
    luma_size       size of the grey pictures
    save_jpeg       one colour picture to disk
    alarm           ends a process that hangs in here

file       reads, and what the medium did container  open, choose the stream
failures   what is wrong with a file
packets    probe                          demux     packets, the same way each time
timeline   footage, gaps, camera clock    order     times where a container has none
decode     what to decode, skip, repeat   reader    packets by row, proved by the index
pixels     sizes and colours              shelf     order and damage of what came out
attic      what the shelf cannot hold     decoder   pictures of packets, and their damage
nal        what may be left undecoded
"""

from pipeline.media.alarm import alarm
from pipeline.media.decode import decode_frames
from pipeline.media.packets import probe
from pipeline.media.pixels import luma_size, save_jpeg, source_size, target_size

__all__ = [
    "alarm",
    "decode_frames",
    "luma_size",
    "probe",
    "save_jpeg",
    "source_size",
    "target_size",
]
