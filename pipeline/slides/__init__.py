"""slides: which pages stand on the screen, and when. Pure; no Ray, no decoding."""

from pipeline.slides.read import PageTexts
from pipeline.slides.stitch import slides_of_video
from pipeline.slides.watch import PageWatcher

__all__ = ["PageTexts", "PageWatcher", "slides_of_video"]
