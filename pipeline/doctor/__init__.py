"""Whether a machine is fit for a run, and whether its engine knows what time it sees."""

from pipeline.doctor.examine import Check, examine

__all__ = ["Check", "examine"]
