"""From where text lies on a page to strips that a model reads, and from their answers to a page."""
