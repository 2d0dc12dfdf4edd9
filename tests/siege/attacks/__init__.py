"""All attacks: importing them enters each in `attacking.ATTACKS`."""

from tests.siege.attacking import ATTACKS as ATTACKS
from tests.siege.attacks import answers, bodies, heads, work

__all__ = ["ATTACKS", "answers", "bodies", "heads", "work"]
