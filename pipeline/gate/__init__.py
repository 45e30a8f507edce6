"""gate: finds quiet windows, which are not sent to the model."""

from pipeline.gate.motion import MotionGate

__all__ = ["MotionGate"]
