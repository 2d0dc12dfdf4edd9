"""Ticket Backend: a helpdesk in one rootless container."""

__version__ = "0.1.0"
