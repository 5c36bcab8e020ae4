"""The tables that people read: rows of what was read from objects, and the views over them."""
