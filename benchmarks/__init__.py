"""Measurements: figures that belong in no test."""
