"""What the driver of an index run does: all that happens outside of Ray tasks."""
