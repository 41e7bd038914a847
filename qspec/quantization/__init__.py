"""From real networks to fixed point, and back."""
