"""What the driver of an index run does, outside of Ray tasks."""
