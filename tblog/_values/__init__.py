"""What a caller gives: arrays, tensors and figures become snapshots, and arguments are checked."""
