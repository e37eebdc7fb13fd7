"""An HTTP server with OpenAI's interface and one for documents: ``crispvl serve``."""
