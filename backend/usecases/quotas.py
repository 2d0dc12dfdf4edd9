"""What people bring in, counted for all processes together in the store. Agents bring in what others send them, so only
requesters' files and texts count; receipts count for everybody."""

from datetime import UTC, datetime, timedelta

from backend.domain.access import Caller, Role
from backend.domain.quotas import Amount
from backend.errors import TooManyRequests
from backend.ports import Ports

_MEBIBYTE = 1024 * 1024


async def must_have_room_for_a_file(ports: Ports, caller: Caller) -> None:
    """Asked before a file's bytes are taken. Raises TooManyRequests."""
    if _counts(ports, caller):
        spent = await ports.tokens.spent(caller.address, _day(ports))
        if not spent.fits(Amount(files=1, size=1), ports.limits.day):
            raise _refusal(ports, spent, Amount(files=1, size=1))


async def count_file(ports: Ports, caller: Caller, size: int) -> None:
    """A file's bytes are kept. Raises TooManyRequests; then it must go."""
    if _counts(ports, caller):
        await _spend(ports, caller, Amount(files=1, size=size))


async def give_back(ports: Ports, caller: Caller, sizes: list[int]) -> None:
    """Files that were counted are gone again, since their request failed."""
    if sizes and _counts(ports, caller):
        await _spend(ports, caller, Amount(-len(sizes), -sum(sizes)))


async def count_text(ports: Ports, caller: Caller, text: str) -> None:
    """A ticket or a comment is about to be written. Raises TooManyRequests."""
    if _counts(ports, caller):
        await _gather(ports, caller, Amount(size=len(text.encode("utf-8", "replace"))))


async def count_receipt(ports: Ports, caller: Caller) -> None:
    """A receipt is about to be written. Raises TooManyRequests."""
    if ports.limits.day.receipts:
        await _gather(ports, caller, Amount(receipts=1))


def _counts(ports: Ports, caller: Caller) -> bool:
    day = ports.limits.day
    return bool(day.files or day.size) and not caller.is_at_least(Role.AGENT)


async def _gather(ports: Ports, caller: Caller, amount: Amount) -> None:
    """Count in this process, and in the store once there is a lump of it: most requests write nothing for it."""
    key, lump = (caller.address, _day(ports)), ports.limits.lump
    gathered = (ports.ledger.pending.get(key) or Amount()).plus(amount)
    if gathered.size < lump.size and gathered.receipts < lump.receipts:
        ports.ledger.pending.set(key, gathered)
        return
    ports.ledger.pending.drop(key)
    await _spend(ports, caller, gathered)


async def _spend(ports: Ports, caller: Caller, amount: Amount) -> None:
    if not await ports.tokens.spend(caller.address, _day(ports), amount, ports.limits.day):
        raise _refusal(ports, await ports.tokens.spent(caller.address, _day(ports)), amount)


def _refusal(ports: Ports, spent: Amount, amount: Amount) -> TooManyRequests:
    most = ports.limits.day
    if most.files and spent.files + amount.files > most.files:
        what = f"at most {most.files} files a day, and you have sent {spent.files}"
    elif most.size and spent.size + amount.size > most.size:
        sent = f"{spent.size / _MEBIBYTE:.1f}"
        what = f"at most {most.size // _MEBIBYTE} MiB of files and texts a day, and you have sent {sent} MiB"
    else:
        what = f"at most {most.receipts} requests with an Idempotency-Key a day"
    now = datetime.now(UTC)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    again = f"{midnight:%Y-%m-%d} 00:00 UTC"
    return TooManyRequests(f"One person may send {what}; go on at {again}.", int((midnight - now).total_seconds()) + 1)


def _day(ports: Ports) -> str:
    return ports.now()[:10]
