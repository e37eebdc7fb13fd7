"""The page that reads documents in a browser: plain HTML, CSS and JavaScript of our own."""
