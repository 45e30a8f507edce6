"""``ray job submit --working-dir . -- python -m jobs.index_archive --config FILE [SRC...]``.

Takes the arguments of ``timereel index``; sources and index may be set in the config.
"""

import sys

from pipeline.cli import main

if __name__ == "__main__":
    main(["index", *sys.argv[1:]])
