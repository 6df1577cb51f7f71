"""The network: WebSocket, HTTP, the REST API and the metrics port.

Connections: ``first_request`` reads the first request of each TCP connection. ``http`` serves the requests of one
connection (``request_bodies``: those whose body is incomplete); ``http_port`` has what the connections of a port share,
``http_connections`` their bounds and the outbox of their answers. ``upgrades`` hands a connection to a WebSocket:
``opening`` admits the client, ``websocket`` serves it, ``server_state`` has what all of them share. ``deadlines`` is
the timer of all connections; ``tls_handshakes`` logs TLS handshakes that fail.

REST: ``rest`` opens a request, serves it and forms its answer. ``authentication`` checks the call, ``endpoints`` has
one operation for each path. ``exchange`` is a request on its way, ``answers`` are its answers, ``errors`` its refusals.
``failures`` turns exceptions into answers, ``cors`` makes the cross-origin headers, ``health`` answers health checks.

Metrics: ``metrics_port`` answers requests, ``metrics`` collects the values, ``memory`` measures the memory.
"""
