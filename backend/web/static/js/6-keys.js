// Single keys, unless somebody types or has switched them off (WCAG 2.1.4).

const keysAreOn = () => { try { return localStorage.getItem("keys") !== "off"; } catch { return true; } };
const titles = () => all("#list .title");

const here = /^\/tickets\/(?!new$)(\w+)$/.exec(location.pathname)?.[1];
const remembered = (name) => { try { return sessionStorage.getItem(name) ?? ""; } catch { return ""; } };
const remember = (name, value) => { try { sessionStorage.setItem(name, value); } catch { /* the plain queue will do */ } };

/** On to the ticket beside this one in the list that it was opened from. */
function stepToTicket(by) {
  const rows = remembered("rows").split(" ").filter(Boolean);
  const at = rows.indexOf(here);
  const next = at < 0 ? null : rows[at + by];
  if (next) location.assign(`/tickets/${next}`);
  else notify(at < 0 ? "This ticket was not opened from a list." : `This was the ${by > 0 ? "last" : "first"} ticket of the list.`);
}

/** The row of the ticket that one comes from, or where that is gone from the list, the one after it. */
function focusRow() {
  const from = remembered("from");
  remember("from", "");
  const rows = remembered("rows").split(" ");
  const at = rows.indexOf(from);
  const row = at >= 0 && rows.slice(at).map((id) => document.getElementById(`t-${id}`)).find(Boolean);
  if (!row) return;
  row.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function startRows() {
  if (here) remember("from", here);
  if (!document.body.matches(".queue")) return;
  focusRow();
  addEventListener("pagehide", () => remember("rows", titles().map((link) => link.id.slice(2)).join(" ")));
}

function step(by) {
  if (here) return stepToTicket(by);
  const links = titles();
  if (!links.length) return;
  const row = document.activeElement?.closest?.("#list .row");
  const at = row ? links.indexOf(one(".title", row)) : -1;
  const next = links[Math.max(0, Math.min(links.length - 1, at < 0 ? 0 : at + by))];
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function goTo(selector, prepare) {
  const target = one(selector);
  if (!target) return false;
  prepare?.(target);
  target.focus();
  target.scrollIntoView({ block: "nearest" });
  return true;
}

function compose(internal) {
  const choice = one(internal ? "#is-note" : "#is-reply");
  if (internal && !choice) return false;
  if (choice) choice.checked = true;
  return goTo("#body");
}

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  x: () => document.activeElement?.closest?.(".row")?.querySelector("[type=checkbox]")?.click(),
  "/": () => goTo("#q", (field) => field.select()) || goTo("#find", (field) => field.select()),
  n: () => location.assign("/tickets/new"),
  r: () => compose(false),
  i: () => compose(true),
  a: () => one("#assign-to-me")?.click(),
  e: () => goTo("#resolution", (field) => { field.closest("details").open = true; }),
  u: () => one("[data-back]")?.click(),
  "?": () => one("#help")?.showModal(),
};

let foreignLayout = false;

/** The shortcut of a key. Letters count by themselves, whatever Caps Lock does; those of other scripts by their place. */
function shortcutOf({ key, code, shiftKey, isComposing }) {
  const place = /^Key([A-Z])$/.exec(code)?.[1].toLowerCase();
  if (isComposing) return null;
  if (/^\p{L}$/u.test(key)) {
    foreignLayout = !/\p{Script=Latin}/u.test(key);
    if (shiftKey) return null;
    return foreignLayout ? place : key === "İ" ? "i" : key.toLowerCase();
  }
  if (key in KEYS) return key;
  return foreignLayout && code === "Slash" ? (shiftKey ? "?" : "/") : null;
}

function startKeys() {
  const help = one("#help");
  const choice = one("#keys-on");
  if (!help) return;
  choice.checked = keysAreOn();
  choice.addEventListener("change", () => { try { localStorage.setItem("keys", choice.checked ? "on" : "off"); } catch { /* for this page only */ } });
  all("[data-help]").forEach((button) => button.addEventListener("click", () => help.showModal()));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.matches?.("textarea")) {
      event.preventDefault();
      event.target.form?.requestSubmit();
      return;
    }
    if (event.key === "Escape") all("details.account[open]").forEach((menu) => { menu.open = false; one("summary", menu).focus(); });
    const typing = event.target.matches?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
    if (typing && event.key === "Escape" && !event.isComposing) event.target.blur(); // what was typed stays
    if (event.ctrlKey || event.metaKey || event.altKey || typing || help.open || !keysAreOn()) return;
    const act = KEYS[shortcutOf(event)];
    if (!act) return;
    event.preventDefault();
    act();
  });
  document.addEventListener("click", ({ target }) => {
    all("details.account[open]").forEach((menu) => { if (!menu.contains(target)) menu.open = false; });
  });
}
