"""``python -m jobs.query_index --index DIR --from T --to T``: the same as ``timereel query``."""

import sys

from pipeline.cli import main

if __name__ == "__main__":
    main(["query", *sys.argv[1:]])
