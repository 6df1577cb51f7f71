"""``python -m soketpy`` is the command ``soketpy``."""

import sys

from soketpy.cli import main

if __name__ == "__main__":
    sys.exit(main())
