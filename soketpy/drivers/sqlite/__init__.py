"""The drivers of one node that survive a restart, each in an SQLite file: a queue of webhooks, and logs of events.

``file`` opens a file, and a ``thread`` uses the file. ``queue``, ``store`` and ``lanes`` are the queue;
``history``, ``logs`` and ``log_heads`` are the logs.
"""
