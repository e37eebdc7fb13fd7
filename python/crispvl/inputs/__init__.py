"""What is read: images, PDF files, videos and web addresses, as pages of pixels."""
