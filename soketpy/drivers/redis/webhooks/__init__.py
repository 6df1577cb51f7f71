"""Webhooks in a cluster over Redis. ``docs/design/webhooks.md`` explains the design.

A write of the roster carries ``flags``, which say what events the webhooks of its app want. The script of the roster
appends these events, and ``events`` appends all others. The ``holder`` of a partition reads the events. It uses
``forming`` to make deliveries of them, and stores these in the ``queue``. ``operators`` opens the queue for a command.
Of the scripts, ``events.lua`` is a part of that of the roster too.
"""
