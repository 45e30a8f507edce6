"""State machines: orders of events that nobody has thought of, against models of what must be.

make state-test EXAMPLES=500
"""

import os

from hypothesis import HealthCheck, settings

_NUM_EXAMPLES = os.environ.get("STATE_EXAMPLES")


def examples(few: int, steps: int) -> settings:
    """So ``few`` in the tests, always the same; others, and as many as one likes, by hand."""
    return settings(
        max_examples=int(_NUM_EXAMPLES or few),
        stateful_step_count=int(os.environ.get("STATE_STEPS", steps)),
        deadline=None,
        derandomize=_NUM_EXAMPLES is None,
        suppress_health_check=list(HealthCheck),
    )
