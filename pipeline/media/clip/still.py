"""One frame as a picture."""

from PIL import Image

from pipeline.config import DecodeConfig
from pipeline.errors import SourceError
from pipeline.media.clip.canvas import Canvas, canvas_size
from pipeline.media.clip.pictures import pictures
from pipeline.media.clip.stretch import find_stretch
from pipeline.records import Cut
from pipeline.storage.access import Access

_MAX_SIDE = 1280


def still_picture(cut: Cut, *, decode: DecodeConfig, access: Access) -> Image.Image:
    """The frame that is on screen when the cut begins: upright, at most 1,280 pixels a side.

    Raises:
        SourceError: the file cannot be used, has changed, or the frame cannot be decoded.
        UnreachableError: the medium does not answer.
    """
    stretch = find_stretch(cut, decode=decode, access=access)
    canvas = Canvas(canvas_size([stretch]), None)
    for frame in pictures(stretch, stretch.shown[:1], decode=decode, access=access):
        painted = canvas.paint(frame, stretch)
        picture = Image.fromarray(painted.to_ndarray(format="rgb24"))
        picture.thumbnail((_MAX_SIDE, _MAX_SIDE))
        return picture
    raise SourceError(f"{cut.video.uri}: its frame at this time cannot be decoded")
