"""What hypothesis draws for the archive machine: recordings, settings and names."""

import hypothesis.strategies as st

from pipeline.timebase import NS_PER_S
from tests.state.scripted import RATES, T0_NS, Recording

CAMERAS = ("gate", "yard[1]")
NAMES = ("a", "b", "c", "d")
SETTINGS = st.integers(0, 1)
KEEP = st.sampled_from([False, False, True])
"""Whether the answers under the other setting stay; of both, readers get the newest."""
SHOWING = st.sampled_from(
    [(), ((0, 99),), ((0, 3), (9, 99)), ((4, 6),), ((1, 2), (5, 11)), ((10, 99),), ((0, 1),)]
)
"""Frames that show something; many reach over a border of a file, once it is long enough."""

ODD_NS = st.sampled_from([0, 0, 1, 499, 123_456_789])
cameras = st.sampled_from(CAMERAS)
recordings = st.builds(
    lambda camera, name, **kwargs: Recording(uri=f"{camera}/{name}.mp4", camera=camera, **kwargs),
    camera=cameras,
    name=st.sampled_from(NAMES),
    start_ns=st.builds(
        lambda half_seconds, odd_ns: T0_NS + half_seconds * NS_PER_S // 2 + odd_ns,
        st.integers(0, 16),
        ODD_NS,
    ),
    rate=st.integers(0, len(RATES) - 1),
    num_frames=st.integers(1, 26),
    width=st.sampled_from([64, 64, 128]),
    showing=SHOWING,
)
