"""``ray job submit --working-dir . -- python -m jobs.maintain_index --config FILE [--index DIR]``.

Takes the arguments of ``timereel maintain``: retention, compaction and vacuum, for every night.
"""

import sys

from pipeline.cli import main

if __name__ == "__main__":
    main(["maintain", *sys.argv[1:]])
