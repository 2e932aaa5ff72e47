"""What crosses the air gap, and all that is needed to check it."""

__version__ = "0.1.0+zone"
