"""The attacks that a test holds: importing this enters each in `attacking.ATTACKS`. `heavy` has those that are measured."""

from tests.siege.attacking import ATTACKS as ATTACKS
from tests.siege.attacks import answers, bodies, heads, work

__all__ = ["ATTACKS", "answers", "bodies", "heads", "work"]
