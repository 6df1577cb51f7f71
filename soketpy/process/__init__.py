"""A running process.

``server`` builds everything from the settings, starts it and stops it in reverse order; ``draining`` closes its
clients. ``single`` runs a server as one process. ``workers`` supervises several processes on one port:
``worker_process`` is one of them as the supervisor sees it, ``worker`` is its program, and ``private_redis`` connects
them. ``listening`` opens sockets, ``metrics_server`` the metrics port, and ``cluster`` chooses the driver. ``signals``,
``tls``, ``certificates``, ``validity``, ``log``, ``memory``, ``descriptors`` and ``requirements`` are about the
process and its machine.
"""
