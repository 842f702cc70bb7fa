"""``python -m hydrad`` is ``hydrad``."""

import sys

from hydrad.cli import main

if __name__ == "__main__":
    sys.exit(main())
