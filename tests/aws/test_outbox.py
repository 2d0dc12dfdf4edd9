"""What the contract of the outbox does not ask: how often the table is called, and what a kill in the middle leaves."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from backend.adapters.aws.outbox import DynamoOutbox
from backend.domain.values import new_id
from backend.domain.webhooks import Delivery, State, later
from backend.ports import MOST_FANNED_OUT, Ports
from tests.aws.test_dynamodb import Calls
from tests.contract import test_outbox
from tests.contract.test_outbox import AT, HERE, THERE, a_delivery

run = asyncio.run


class Killed(BaseException):
    """As if the process was gone."""


@pytest.mark.parametrize(
    "check",
    [
        test_outbox.test_settles_only_what_is_still_its_own,
        test_outbox.test_lists_by_state_page_by_page,
        test_outbox.test_replays_one_or_all_that_are_dead,
        test_outbox.test_forgets_what_is_old_and_what_belongs_to_nobody,
    ],
    ids=lambda check: check.__name__,
)
def test_contract_holds_on_moto(on_moto: Ports, check: Callable[[Ports], None]) -> None:
    check(on_moto)


def test_all_messages_of_a_turn_fit_into_one_transaction(on_moto: Ports) -> None:
    async def check() -> None:
        calls = Calls(on_moto)
        messages = [a_delivery() for _ in range(MOST_FANNED_OUT)]
        assert await calls.of(on_moto.outbox.fan_out(0, 7, messages)) == {"TransactWriteItems": 1}
        assert list((await on_moto.outbox.list_deliveries(HERE, None, 200, None)).items) == messages[::-1]
        assert not await on_moto.outbox.fan_out(0, 7, messages)

    run(check())


def test_calls_of_those_who_send(on_moto: Ports) -> None:
    async def check() -> None:
        outbox, calls = on_moto.outbox, Calls(on_moto)
        assert await calls.of(outbox.position()) == {"GetItem": 1}
        webhooks = [new_id() for _ in range(50)]
        assert await calls.of(outbox.due(webhooks, AT)) == {"Query": 1}, "nobody has anything"
        for webhook_id in webhooks[:20]:
            await outbox.add(a_delivery(webhook_id, later(AT, 60)))
        assert await calls.of(outbox.due(webhooks, AT)) == {"Query": 1}, "a few wait for their time"
        await outbox.fan_out(0, 7, [a_delivery(webhooks[7]) for _ in range(MOST_FANNED_OUT)])
        assert await outbox.due(webhooks, AT) == [webhooks[7]]
        assert (await calls.of(outbox.due(webhooks, AT)))["Query"] <= 4, "a long queue is leapt over"
        assert await calls.of(outbox.claim({webhooks[7]: 2}, AT, later(AT, 60))) == {"Query": 1, "UpdateItem": 2}
        (one,) = await outbox.claim({webhooks[7]: 1}, AT, later(AT, 60))
        done = replace(one, state=State.DELIVERED, settled_at=AT, status=204)
        assert await calls.of(outbox.settle(done)) == {"PutItem": 1}

    run(check())


class TestWrittenAhead:
    """On DynamoDB Local, whose transactions hold 10 actions: what does on AWS where there are more than 4 MB."""

    def test_appears_whole_though_its_writer_is_killed(
        self, opened: Callable[[], Ports], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def check() -> None:
            here, there = opened(), opened()
            messages = [a_delivery() for _ in range(30)]

            def kill(*_: object) -> None:
                raise Killed

            with monkeypatch.context() as patch, pytest.raises(Killed):
                patch.setattr(DynamoOutbox, "_finish", kill)
                await here.outbox.fan_out(0, 7, messages)
            assert await there.outbox.counts() == {}, "nobody sees half of them"
            assert not await there.outbox.fan_out(7, 9, []), "the position stays until they are there"
            assert await there.outbox.position() == 7
            assert list((await there.outbox.list_deliveries(HERE, None, 99, None)).items) == messages[::-1]
            assert await there.outbox.fan_out(7, 9, [])

        run(check())

    def test_leaves_nothing_where_somebody_was_faster(self, ports: Ports) -> None:
        async def check() -> None:
            assert await ports.outbox.fan_out(0, 3, [])
            assert not await ports.outbox.fan_out(0, 7, [a_delivery() for _ in range(30)])
            assert await ports.outbox.counts() == {}
            assert await ports.outbox.position() == 3

        run(check())

    def test_those_who_finish_at_once_make_each_message_once(self, opened: Callable[[], Ports]) -> None:
        async def check() -> None:
            here, there, elsewhere = opened(), opened(), opened()
            messages = [a_delivery() for _ in range(12)]
            fanned = here.outbox.fan_out(0, 7, messages)
            looked = [other.outbox.position() for other in (there, elsewhere) * 4]
            moved, *_ = await asyncio.gather(fanned, *looked)
            assert moved and await there.outbox.counts() == {State.PENDING: 12}

        run(check())

    def test_messages_too_large_for_one_transaction_are_taken(self, on_moto: Ports) -> None:
        async def check() -> None:
            noise = random.Random(1)
            text = "".join(chr(noise.randrange(0x1F300, 0x1F600)) for _ in range(60_000))
            messages = [replace(a_delivery(), body=text) for _ in range(40)]
            calls = Calls(on_moto)
            assert "TransactWriteItems" not in await calls.of(on_moto.outbox.fan_out(0, 7, messages))
            claimed = await on_moto.outbox.claim({HERE: 1}, AT, later(AT, 60))
            assert claimed[0].body == text
            assert (await on_moto.outbox.counts()) == {State.PENDING: 40}

        run(check())


def test_a_busy_webhook_hides_no_other(ports: Ports) -> None:
    async def check() -> None:
        low, high = sorted([HERE, THERE])
        for n in range(8):
            await ports.outbox.fan_out(n, n + 1, [a_delivery(low) for _ in range(9)])
        await ports.outbox.add(a_delivery(high, later(AT, -5)))
        assert await ports.outbox.due([high], AT) == [high]
        assert await ports.outbox.first_due() == later(AT, -5)

    run(check())


def test_many_senders_claim_each_message_once(opened: Callable[[], Ports]) -> None:
    async def check() -> None:
        senders = [opened() for _ in range(4)]
        for n in range(6):
            await senders[0].outbox.fan_out(n, n + 1, [a_delivery() for _ in range(9)])
        claimed: list[Delivery] = []

        async def send(sender: Ports) -> None:
            while found := await sender.outbox.claim({HERE: 2}, AT, later(AT, 60)):
                claimed.extend(found)

        await asyncio.gather(*map(send, senders))
        while found := await senders[0].outbox.claim({HERE: 9}, AT, later(AT, 60)):
            claimed.extend(found)
        assert len(claimed) == len({one.id for one in claimed}) == 54
        assert {one.attempts for one in claimed} == {1}

    run(check())


def test_an_index_that_lags_proposes_in_vain(ports: Ports) -> None:
    """What an index still shows of a message that has been settled since: nobody is given it, and no list has it."""

    async def check() -> None:
        assert isinstance(ports.outbox, DynamoOutbox)
        await ports.outbox.add(a_delivery())
        (one,) = await ports.outbox.claim({HERE: 1}, AT, AT)
        table = ports.outbox._table
        stale, _ = table.query("MESSAGES", index="due")
        assert await ports.outbox.settle(replace(one, state=State.DELIVERED, settled_at=AT, status=204))
        query = table.query

        def lagging(*args, **named):
            return (stale, None) if named.get("index") == "due" else query(*args, **named)

        table.query = lagging  # type: ignore[method-assign]
        assert await ports.outbox.claim({HERE: 1}, AT, later(AT, 60)) == []

    run(check())
