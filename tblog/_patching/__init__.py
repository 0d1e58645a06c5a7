"""Replacing the originals by tblog: their modules, names and imports."""
