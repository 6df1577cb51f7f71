"""soketi's configuration.

``names`` has its names. ``reader`` reads its files and variables, with ``values`` for single values, ``options`` for
the options of soketi's libraries and ``webhooks`` for the webhooks of apps. ``detection`` decides whether a file is in
its names.
"""
