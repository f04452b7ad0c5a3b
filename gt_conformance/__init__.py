"""Prove what the GT API client runbooks promise, against a live tenant."""

__version__ = "0.1.0"
