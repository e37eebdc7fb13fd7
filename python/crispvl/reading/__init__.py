"""Reading documents: from sources to results, page by page, many at a time or in a conversation."""
