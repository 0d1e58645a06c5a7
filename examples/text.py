"""Log text, which TensorBoard renders as Markdown."""

from __future__ import annotations

from pathlib import Path

from tblog import SummaryWriter

CONFIGURATION = """\
| parameter     | value |
|---------------|-------|
| learning rate | 0.01  |
| batch size    | 32    |
"""


def main(log_dir: str | Path = "runs/text") -> None:
    """Log a remark and a table."""
    with SummaryWriter(log_dir) as writer:
        writer.add_text("remark", "The **third** try, with a smaller step.")
        writer.add_text("configuration", CONFIGURATION)


if __name__ == "__main__":
    main()
