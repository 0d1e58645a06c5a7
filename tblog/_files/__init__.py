"""Event files: naming and writing them, and repairing and resuming them."""
