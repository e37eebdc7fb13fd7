"""Many documents to one table of pages, each page exactly once, on one machine or a Ray cluster."""
