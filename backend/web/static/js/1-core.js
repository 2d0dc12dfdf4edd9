"use strict";
// The files of this folder are one script, in the order of their names. Nothing here is needed to read or to file.

const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const me = document.body.dataset.me;

/** Tell those who listen rather than look. */
function say(text) {
  one("#said").textContent = text;
}

let noticeTimer = 0;

/** A line at the foot of the page, which goes by itself after `seconds`; `link` is {href, text, blank}. */
function notify(text, { seconds = 6, link = null } = {}) {
  const notice = one("#notice");
  const line = document.createElement("bdi");
  line.textContent = text;
  notice.replaceChildren(line);
  if (link) {
    const way = document.createElement("a");
    Object.assign(way, { href: link.href, textContent: link.text });
    if (link.blank) way.target = "_blank";
    notice.append(way);
  }
  notice.hidden = false;
  clearTimeout(noticeTimer);
  if (seconds) noticeTimer = setTimeout(() => { notice.hidden = true; }, seconds * 1000);
}

function signedOut() {
  notify("Your session has ended. What you typed is kept.", {
    seconds: 0,
    link: { href: `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`, text: "Sign in", blank: true },
  });
}

const parsed = (html) => new DOMParser().parseFromString(html, "text/html");

/** A page of this site as a document; null where the session has ended. */
async function fetchPage(url, options = {}) {
  const answer = await fetch(url, { headers: { accept: "text/html" }, ...options });
  const text = await answer.text();
  if (new URL(answer.url).pathname === "/sign-in" || answer.status === 401) {
    signedOut();
    return null;
  }
  return { ok: answer.ok, url: answer.url, page: parsed(text) };
}

// ---- Bringing the page up to date without taking anything away from whoever uses it -----------------------------------

const isDirty = (field) => {
  if (field.type === "hidden") return false;
  if (field.matches("select")) return field.selectedIndex !== Math.max(0, [...field.options].findLastIndex((option) => option.defaultSelected));
  if (field.matches("[type=checkbox], [type=radio]")) return field.checked !== field.defaultChecked;
  return field.value !== field.defaultValue;
};

/** A form with something typed stays as it is, the values that it was made from included. */
const isTyped = (form) => form.dataset.refused !== undefined || [...form.elements].some((field) => field.matches("input, textarea, select") && isDirty(field));

/** Take over every region of a newer version of this page. */
function take(page, { live = false } = {}) {
  const held = live && listIsHeld();
  let whole = true;
  for (const region of all("[data-region]")) {
    const fresh = page.getElementById(region.id);
    if (fresh && held && region.id === "list" && holdBack(region, fresh, page)) whole = false;
    else if (fresh) become(region, fresh);
  }
  if (whole) dropPending();
  welcomeForms();
  const position = page.body?.dataset.position;
  if (position) document.body.dataset.position = position;
  if (one("#bulk")) countChosen();
  localise(document);
}

function become(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
    keepTyped(old);
    old.replaceWith(document.importNode(fresh, true));
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  if (old.dataset.later) return becomeLater(old, fresh);
  if (old.matches("form") && (isTyped(old) || old.contains(document.activeElement) && document.activeElement.matches("textarea, input, select"))) return;
  if (old.matches("progress")) return; // it tells how far a sending has come
  if (old.matches("time") && old.dateTime === fresh.dateTime) return;
  for (const { name, value } of [...fresh.attributes]) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  if (old.matches("input, textarea") && !old.matches("[type=checkbox], [type=radio]")) old.value = fresh.defaultValue;
  else if (fresh.firstElementChild?.dataset?.key) becomeKeyed(old, fresh);
  else becomeInOrder(old, fresh);
}

/** A form that goes, since its ticket is over, leaves what was typed in it beside its region. */
function keepTyped(node) {
  if (node.nodeType !== Node.ELEMENT_NODE) return;
  const forms = node.matches("form[data-draft]") ? [node] : all("form[data-draft]", node);
  const fields = forms.flatMap((form) => [...form.elements]).filter((field) => field.matches("textarea, input:not([type])"));
  for (const field of fields.filter((typed) => isDirty(typed) && typed.value.trim())) {
    const box = document.createElement("div");
    const [line, copy] = [document.createElement("p"), document.createElement("textarea")];
    box.className = "card stack kept-text";
    line.textContent = "What you had typed, to copy:";
    Object.assign(copy, { className: "kept", readOnly: true, value: field.value, ariaLabel: "What you had typed" });
    box.append(line, copy);
    node.parentElement.closest("[data-region]").before(box);
    if (field === document.activeElement) copy.focus();
  }
}

function becomeInOrder(old, fresh) {
  const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
  after.forEach((node, index) => {
    if (index < before.length) become(before[index], node);
    else old.append(document.importNode(node, true));
  });
  before.slice(after.length).forEach((node) => { keepTyped(node); node.remove(); });
}

/** Children with a key stay the same elements, so that focus and choice stay with them wherever they move. */
function becomeKeyed(old, fresh) {
  const kept = new Map([...old.children].map((child) => [child.dataset.key, child]));
  let place = old.firstElementChild;
  for (const node of fresh.children) {
    const known = kept.get(node.dataset.key);
    if (!known) {
      const added = document.importNode(node, true);
      added.classList.add("fresh");
      old.insertBefore(added, place);
      continue;
    }
    kept.delete(node.dataset.key);
    become(known, node);
    if (known === place) place = place.nextElementSibling;
    else old.insertBefore(known, place);
  }
  for (const gone of kept.values()) {
    if (gone.contains(document.activeElement)) one("a", gone.nextElementSibling ?? gone.previousElementSibling ?? gone)?.focus();
    gone.remove();
  }
}

let refreshing = null;

/** Fetch this page again and take it over. Several calls at once are one. */
function refresh() {
  refreshing ??= fetchPage(location.href)
    .then((answer) => { if (answer?.ok) take(answer.page, { live: true }); return answer; })
    .catch(() => null)
    .finally(() => { refreshing = null; });
  return refreshing;
}
