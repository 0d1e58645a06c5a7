"""The ranks of a distributed training. Imported only if a writer's options ask for it."""
