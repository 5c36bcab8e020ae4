"""The ledger's tables, once: names, types, keys and what each column means.

The DDL, the comments in the database, the data dictionary and the Arrow schemas of the bulk writers come from here. The
first sentence of a table's comment is its grain.
"""
