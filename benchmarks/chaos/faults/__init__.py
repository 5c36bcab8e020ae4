"""The faults: lost, duplicated, delayed and late deliveries, partial uploads, and killed processes."""
