"""torch-kata: auto-graded PyTorch exercises."""

__version__ = "0.1.0"
