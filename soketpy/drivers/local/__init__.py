"""A cluster of one process: every port is served from its memory."""
