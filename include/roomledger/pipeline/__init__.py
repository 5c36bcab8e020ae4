"""The steps of the pipeline: collect, load, and listen for notifications."""
