"""The tables for analysts: the records read from objects, and the views over them."""
