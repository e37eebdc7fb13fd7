"""What a model is asked: messages, conversation formats, and the token ids made of them."""
