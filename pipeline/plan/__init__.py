"""plan: sample grid, shards and windows that tile a video's footage exactly. Pure.

cost    CPU seconds of decoding, from the packet index
grid    the frames on screen at the points of the sample grid, or cheaper ones near them
shards  shards of about equal cost that cut on keyframes, and their windows
"""

from pipeline.plan.cost import gop_costs_s
from pipeline.plan.grid import grid_pts, sampled_pts
from pipeline.plan.shards import packets_for, plan_shards

__all__ = ["gop_costs_s", "grid_pts", "packets_for", "plan_shards", "sampled_pts"]
