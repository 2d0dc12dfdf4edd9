"""Single keys work whatever the keyboard: with Caps Lock, and on layouts of other scripts by their place."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.world import World

Visit = Callable[..., Page]
PRESS = """([key, code, more]) => (document.activeElement ?? document.body).dispatchEvent(
  new KeyboardEvent('keydown', {key, code, bubbles: true, cancelable: true, ...more}))"""


@pytest.mark.parametrize("key", ["j", "J", "о", "О", "ξ", "ח", "ت", "ㅓ"])
def test_a_letter_is_the_key_at_its_place(visit: Visit, world: World, key: str) -> None:
    page = visit(world.agent, "/queue?status=any")
    page.evaluate(PRESS, [key, "KeyJ", {}])
    expect(page.locator("#list .title").first).to_be_focused()


def test_latin_letters_count_by_themselves_and_modifiers_are_others(visit: Visit, world: World) -> None:
    page = visit(world.agent, "/queue?status=any")
    body = page.locator("body")
    for key, code, more in (
        ("q", "KeyJ", {}),  # a Latin layout with its letters elsewhere
        ("J", "KeyJ", {"shiftKey": True}),
        ("о", "KeyJ", {"ctrlKey": True}),
        ("о", "KeyJ", {"altKey": True}),
        ("J", "KeyJ", {"metaKey": True}),
        ("-", "Slash", {}),  # QWERTZ
        ("о", "KeyJ", {"isComposing": True}),
    ):
        page.evaluate(PRESS, [key, code, more])
        expect(body).to_be_focused()
    page.evaluate(PRESS, ["j", "KeyC", {}])  # Dvorak
    expect(page.locator("#list .title").first).to_be_focused()
    page.evaluate(PRESS, ["л", "KeyK", {}])
    page.evaluate(PRESS, [".", "Slash", {}])  # the same place on a Russian layout
    expect(page.locator("#q")).to_be_focused()
