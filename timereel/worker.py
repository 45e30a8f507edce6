"""What a worker of Ray calls as it starts, before it gets any work."""


def start() -> None:
    """Nothing more to do: to import this module has imported the ``pipeline`` of timereel.

    Ray puts the working directory of the driver first on the path of its workers, where somebody
    else's package of that name may lie.
    """
