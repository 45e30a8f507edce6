"""What coverage says, in the microseconds that tables have."""


def to_us(at):
    """UTC in microseconds."""
    return round(at.timestamp() * 1_000_000)


def covered_by(index, camera):
    """Start, end and state of each range of a camera; a name with brackets is a name."""
    rows = index.coverage(camera=camera).to_pylist()
    return [(to_us(row["start"]), to_us(row["end"]), row["state"]) for row in rows]


def erased_of(covered):
    """Start and end of what is erased of that."""
    return [(start, end) for start, end, state in covered if state == "erased"]
