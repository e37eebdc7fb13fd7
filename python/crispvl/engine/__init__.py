"""From prompts and images to tokens: the model, its sessions, and the steps many answers share."""
