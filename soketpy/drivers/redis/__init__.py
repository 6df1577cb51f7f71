"""Many nodes that act as one server, over Redis. ``docs/design/roster.md`` explains the design.

The modules, from the outermost to the innermost: ``cluster`` joins and leaves. ``partitions`` spreads channels and
users over several partitions. A ``partition`` has a ``session``, and the ports ``bus``, ``roster``, ``cache`` and
``limits`` over it. The parts of the roster are ``users``, ``quotas`` and ``reads``. A session opens a ``wire`` with
``connect``, agrees on the ``version`` of the data, and renews its ``lease``. The ports use the session through
``commands``: they send ``writes``, which ``roster.lua`` does, and messages on ``topics``. ``in_flight`` counts
what is in flight. Only ``wire`` and ``connect`` use the network. The folder ``webhooks`` has the events and
the queue of webhooks.
"""
