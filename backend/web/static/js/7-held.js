// While somebody points at the list, moves in it by keys or has chosen rows, what others do must not move the rows:
// those that stay are brought up to date in their places, and a button says what waits.

let pending = null; // the newest version of the page that is held back

const listIsHeld = () => {
  const list = one(".queue #list");
  if (!list) return false;
  const pointed = matchMedia("(hover: hover)").matches && one("#list .row:hover") !== null;
  return pointed || document.activeElement?.closest?.("#list .row") != null || one("#list .ticked") !== null;
};

const keysOf = (list) => all("[data-keyed] > [data-key]", list).map((row) => row.dataset.key);

/** Bring the rows up to date where they are; false where nothing has to move, and all can be taken over. */
function holdBack(list, fresh, page) {
  const [before, after] = [keysOf(list), keysOf(fresh)];
  const added = after.filter((key) => !before.includes(key)).length;
  const gone = before.filter((key) => !after.includes(key)).length;
  if (before.join() === after.join() || !before.length) return false;
  for (const row of all("[data-keyed] > [data-key]", list)) {
    const newer = all("[data-keyed] > [data-key]", fresh).find((other) => other.dataset.key === row.dataset.key);
    if (newer) become(row, newer);
  }
  pending = page;
  showPending(added ? `${added} new` : gone ? `${gone} gone` : "Another order");
  return true;
}

function showPending(text) {
  let button = one("#pending");
  if (!button) {
    button = document.createElement("button");
    Object.assign(button, { id: "pending", type: "button", className: "button primary" });
    button.addEventListener("pointerdown", (event) => event.preventDefault()); // the focus stays in the list
    button.addEventListener("click", takePending);
    one(".top .new").before(button); // beside the list, where it covers none of it
  }
  if (button.textContent === text) return;
  button.textContent = text;
  say(`${text}: a button at the end shows it`);
}

function dropPending() {
  pending = null;
  one("#pending")?.remove();
}

function takePending() {
  if (pending) take(pending);
}

function startHolding() {
  if (!document.body.matches(".queue")) return;
  const soon = () => setTimeout(() => { if (pending && !listIsHeld()) takePending(); }, 250);
  for (const event of ["pointerout", "focusout", "change"]) document.addEventListener(event, soon);
}
