"""tblog in the place of the originals: their modules, names and imports."""
