"""A running process: the server that is built from settings, its signals, sockets, log and workers."""
