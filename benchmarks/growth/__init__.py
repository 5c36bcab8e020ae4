"""Growth: how the time of each step depends on the number of objects that are listed or loaded already."""
