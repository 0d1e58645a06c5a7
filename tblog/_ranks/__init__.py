"""The ranks of a distributed training: a wing that a writer enters only if its options say so."""
