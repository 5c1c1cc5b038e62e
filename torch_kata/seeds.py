"""Fresh seeds, from the system's entropy and never from the environment."""

import secrets


def fresh_seed() -> int:
    """A seed that nobody can foresee, short enough to type."""
    return secrets.randbelow(1_000_000)
