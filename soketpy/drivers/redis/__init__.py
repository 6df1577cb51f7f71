"""Many nodes that act as one server, over Redis: ``docs/design/roster.md`` explains it.

From the outside in: ``cluster`` joins and leaves; ``partitions`` spread channels and users over several; a
``partition`` has a ``session`` and the ports ``bus``, ``roster``, ``cache`` and ``limits`` over it. The roster's
parts are ``users``, ``quotas`` and ``reads``. A session keeps one ``wire``, which ``connect`` opens; on it go
``writes``, done by ``roster.lua``, and what is said on ``topics``; ``in_flight`` counts what is on its way. Only
``wire`` and ``connect`` touch the network.
"""
