"""Whether a token that somebody chose is one that others would try."""

import re

# What stands in examples and what fingers type, without case and punctuation; a random token holds none of them.
PLACEHOLDERS = ("changeme", "changethis", "replaceme", "placeholder", "yourtoken", "yoursecret", "youradmin", "example")
GUESSED = ("password", "passw0rd", "letmein", "supersecret", "topsecret", "adminadmin", "secretsecret", "correcthorse")
RUNS = ("01234567890123456789", "abcdefghijklmnopqrstuvwxyz", "0123456789abcdef", "qwertyuiopasdfghjklzxcvbnm")
LARGEST_SHARE_OF_RUNS = 0.6


def is_guessable(token: str) -> bool:
    """An example's, a word that everybody tries, few characters over and over, or a run of the keyboard."""
    plain = re.sub(r"[^a-z0-9]", "", token.lower())
    repeated = plain in (plain + plain)[1:-1]
    pairs = [plain[at : at + 2] for at in range(len(plain) - 1)]
    steps = sum(any(pair in run or pair[::-1] in run for run in RUNS) for pair in pairs)
    runs = steps > LARGEST_SHARE_OF_RUNS * len(pairs)
    return repeated or runs or len(set(plain)) < 5 or any(word in plain for word in (*PLACEHOLDERS, *GUESSED))
