"""Log points for the Projector page, each with a label and a picture."""

from __future__ import annotations

from pathlib import Path

import torch
from sklearn.datasets import load_digits

from tblog import SummaryWriter


def main(log_dir: str | Path = "runs/embedding") -> None:
    """Log 500 handwritten digits by their pixels."""
    digits = load_digits()
    images = torch.from_numpy(digits.images[:500]).float().unsqueeze(1) / 16
    with SummaryWriter(log_dir) as writer:
        writer.add_embedding(
            images.flatten(1),
            metadata=digits.target[:500].tolist(),
            label_img=1 - images,
            tag="digits",
        )


if __name__ == "__main__":
    main()
