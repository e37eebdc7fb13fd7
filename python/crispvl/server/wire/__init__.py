"""What goes over the wire, as pydantic models. Requests are strict; unknown fields are ignored."""
