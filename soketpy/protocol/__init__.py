"""The Pusher Channels protocol and its transports as pure functions: bytes and values, no I/O, no clock, no logging.

Messages: ``events`` parses those of clients, ``messages`` makes those of the server, ``errors`` has the codes,
``channels`` the names of channels, ``ids`` the ids of users, and ``grammar`` reads JSON that msgspec does not.
WebSocket: ``handshake`` and ``frames``. HTTP: ``requests`` parses heads, ``bodies`` receives bodies. ``signatures`` are
the HMACs of channels, users and REST requests; ``origins`` matches the Origin header.
"""
