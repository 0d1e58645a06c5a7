"""What holds for all tests: those that draw examples draw the same ones each time.

`TBLOG_FUZZ_EXAMPLES=1000` asks the fuzz tests in `faults/` for so many, and all tests for new ones.
"""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("tblog", derandomize="TBLOG_FUZZ_EXAMPLES" not in os.environ)
settings.load_profile("tblog")
