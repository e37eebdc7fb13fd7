"""The page that reads documents in a browser: plain HTML, CSS and JavaScript, nothing from outside."""
