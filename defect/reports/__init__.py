"""A stream of inspections → rows, CSV, ZIP, Parquet."""
