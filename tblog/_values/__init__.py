"""The caller's side: snapshots of arrays, tensors and figures, and checks of arguments."""
