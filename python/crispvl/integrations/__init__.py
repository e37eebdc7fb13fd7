"""crispvl within other programs."""
