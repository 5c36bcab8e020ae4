"""Definition of the ledger's tables: names, types, keys and the meaning of each column.

The DDL, the comments in the database, the data dictionary and the Arrow schemas of the bulk writers come from here. The
first sentence of a table's comment is its grain.
"""
