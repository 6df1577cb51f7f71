"""Drivers: the ports of ``core/ports.py`` over one technology each, a folder for each."""
