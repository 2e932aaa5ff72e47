"""The control plane of a sovereign cloud."""

__version__ = "0.1.0+zone"
