"""soketi's configuration.

``names`` has its names, ``reader`` reads its files and variables, ``detection`` decides whether a file is in its names.
"""
