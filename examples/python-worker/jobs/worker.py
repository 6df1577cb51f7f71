"""The worker process: ``python -m jobs.worker ID ROWS SECONDS BAD_ROW`` does one job and reports its progress.

The exit code is the result of the job, and the last line of stderr is the reason of a failure.
"""

import os
import sys
import threading
import time

from .progress import Reporter


def main(job_id: str, rows: int, seconds: int, bad_row: int) -> None:
    """Import ``rows`` rows in ``seconds`` seconds; fail at the bad row, if it is not 0. Put your own work here."""
    with Reporter(job_id) as reporter:
        for row in range(1, rows + 1):
            reporter.report(row - 1, rows)
            time.sleep(seconds / rows)
            if row == bad_row:
                sys.exit(f"Row {row} cannot be read.")


def end_with_parent() -> None:
    """Exit as soon as the server is gone: the end of stdin shows it, even after a kill."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
