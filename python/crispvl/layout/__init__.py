"""From lines of text on a page to strips that a model reads, and from its answers to a page."""
