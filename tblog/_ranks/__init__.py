"""The ranks of a distributed training: imported only if a writer's options ask for it."""
