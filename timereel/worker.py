"""What a worker of Ray calls as it starts, before it gets any work."""

from pipeline.processes.watchdog import end_overdue_neighbours

_LOOK_EVERY_S = 5.0


def start() -> None:
    """Import the ``pipeline`` of timereel, as this module has done, and look after the neighbours.

    Ray puts the working directory of the driver first on the path of its workers, where somebody
    else's package of that name may lie. And it waits for ever for a worker that is stopped.
    """
    end_overdue_neighbours(_LOOK_EVERY_S)
