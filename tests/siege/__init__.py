"""Attacks on a running server, and a bystander who must not notice."""
