"""The console process, asking its lanes a hundred times a second: a day's history in seconds.

For tests of memory.

python -m tests.processes.hurried_console CONFIG
"""

import sys
from pathlib import Path

from validator.config import load
from validator.console import lane_line
from validator.programs.console import serve

if __name__ == "__main__":
    lane_line.STATUS_S = lane_line.COUNTS_S = 0.01
    serve(load(Path(sys.argv[1])), sys.stdout.fileno())
