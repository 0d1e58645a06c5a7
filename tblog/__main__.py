"""`python -m tblog` is the command `tblog`."""

from __future__ import annotations

import sys

from tblog._cli.main import main

if __name__ == "__main__":
    sys.exit(main())
