"""Turning prompts and images into tokens: the model, its sessions, and how many answers share its steps."""
