"""gate: which windows are quiet, so that no model is asked about them."""

from pipeline.gate.motion import MotionGate

__all__ = ["MotionGate"]
