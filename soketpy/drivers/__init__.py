"""Drivers: ports of the heart over a technology each, one a room."""
