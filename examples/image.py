"""Log one image, as a camera or a file gives it: height, width, channels."""

from __future__ import annotations

from pathlib import Path

from sklearn.datasets import load_sample_image

from tblog import SummaryWriter


def main(log_dir: str | Path = "runs/image") -> None:
    """Log a photograph."""
    photograph = load_sample_image("flower.jpg")
    with SummaryWriter(log_dir) as writer:
        writer.add_image("flower", photograph, dataformats="HWC")


if __name__ == "__main__":
    main()
