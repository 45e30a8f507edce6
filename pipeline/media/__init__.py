"""The only place that knows FFmpeg: packets, frames and small pictures of one video.

    probe           what a file holds and when, from its packets
    decode_frames   the wanted frames of one packet range, bit-exact, each with its own pts
    source_size     upright size of the source, to map boxes from small pictures
    target_size     size of the colour pictures a model gets
    luma_size       size of the grey pictures
    save_jpeg       one colour picture to disk

container       open a file, choose its video stream
failures        what is wrong with a file that FFmpeg refuses
packets         probe: the packet index
demux           packets, the same way each time
timeline        footage, gaps, camera clock
pts_recovery    presentation times where a container has none
decode          what to decode, to skip and to repeat
reader          packets by row, proved by the packet index
codec           pictures of packets, and their damage
nal             packets that may be left undecoded
reorder_buffer  frames in presentation order, and the damage of their GOPs
frame_spill     colour frames that the reorder buffer has no room for
pixels          sizes and colours
"""

from pipeline.media.decode import decode_frames
from pipeline.media.packets import probe
from pipeline.media.pixels import luma_size, save_jpeg, source_size, target_size

__all__ = [
    "decode_frames",
    "luma_size",
    "probe",
    "save_jpeg",
    "source_size",
    "target_size",
]
