"""How one task is run apart from the others, with limits, and how its result comes back."""
