"""Whether a node of a cluster can do the work of this driver. No Ray here.

Ray starts the workers of a node for ever where their start fails, and says so for each of them. So
a worker that is unfit starts, and refuses to import the code of its tasks: they end, and with them
the run, whose driver finds the reason in Ray's error.
"""

from collections.abc import Callable

_UNFIT = "cannot work for this run"


def worker_start(version: str) -> Callable[[], None]:
    """What each worker calls as it starts, before it gets any work.

    It is a function inside a function, which is pickled as code and not by its name: the node may
    have no timereel, or not that of ``version``.
    """
    unfit = _UNFIT

    def start() -> None:
        import socket  # noqa: PLC0415 - pickled by value
        import sys  # noqa: PLC0415
        from importlib import import_module  # noqa: PLC0415

        def is_ours(module: str) -> bool:
            return module.partition(".")[0] in ("timereel", "pipeline")

        # timereel first: it imports its own pipeline, also where somebody else's lies on the path.
        try:
            found = import_module("timereel").__version__
            import_module("pipeline.flow.graph")
        except Exception as exc:  # noqa: BLE001 - whatever is raised, Ray would start the next one
            why = f"it cannot import timereel ({type(exc).__name__}: {exc})"
        else:
            if found == version:
                import_module("timereel.worker").start()
                return
            why = f"it has timereel {found}"
        why = (
            f"node {socket.gethostname()} {unfit}: {why} with {sys.executable}, and the driver has "
            f"timereel {version}; install the same on every node, as in its image, or take this "
            "node out of the cluster"
        )

        class Refusing:
            @staticmethod
            def find_spec(name: str, *_: object) -> None:
                if is_ours(name):
                    raise ImportError(why)

        for name in filter(is_ours, list(sys.modules)):
            del sys.modules[name]
        sys.meta_path.insert(0, Refusing)

    return start


def unfit_node(error: Exception) -> str:
    """Which node is unfit and why, out of an error of Ray; empty if that is not its reason."""
    lines = [line for line in str(error).splitlines() if _UNFIT in line]
    return lines[-1].partition("Error: ")[2] if lines else ""
