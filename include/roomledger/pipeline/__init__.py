"""The steps of the way, in the order in which data takes them: collect, load, and listen for what is new."""
