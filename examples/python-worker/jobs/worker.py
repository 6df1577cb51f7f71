"""The worker's process: ``python -m jobs.worker ID ROWS SECONDS BAD_ROW`` does one job and tells how far it is.

Its exit code says how the job ended, and the last line that it writes to stderr says why.
"""

import os
import sys
import threading
import time

from .progress import Reporter


def main(job_id: str, rows: int, seconds: int, bad_row: int) -> None:
    """Import so many rows in so many seconds; fail at a bad one (0: there is none). Put your own work here."""
    with Reporter(job_id) as reporter:
        for row in range(1, rows + 1):
            reporter.report(row - 1, rows)
            time.sleep(seconds / rows)
            if row == bad_row:
                sys.exit(f"Row {row} cannot be read.")


def end_with_parent() -> None:
    """End as soon as the server has gone, of which the end of stdin tells, however it went."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
