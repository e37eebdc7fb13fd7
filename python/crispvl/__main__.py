"""``python -m crispvl`` is the command ``crispvl``."""

import sys

from crispvl.cli import main

if __name__ == "__main__":
    sys.exit(main())
