// What is typed and not sent is kept in this browser with every key, for this person and this page, until it is sent.

// Drafts belong to a person: they go when that person signs out, or when somebody else is found to have signed in.

const KEPT_DAYS = 30;
const PERSON = "person"; // whose browser this is now, for the other pages that are open in it
const draftKey = (form) => `draft ${me} ${location.pathname} ${form.dataset.draft}`;
/** With what it was made from, so that another's change is noticed, and its key, so that what was sent already is not sent twice. */
const draftFields = (form) => [...form.elements].filter((field) => field.name && !field.matches("[type=file], button")
  && (field.type !== "hidden" || field.name === "once" || field.name.startsWith("was_")));

function keepDraft(form) {
  const typed = draftFields(form).filter((field) => field.type !== "hidden" && isDirty(field));
  const note = one(".kept-note", form);
  try {
    if ((localStorage.getItem(PERSON) ?? me) !== me) return; // somebody else has signed in meanwhile
    if (form.dataset.refused === undefined && !typed.some((field) => field.matches("textarea, input:not([type=radio], [type=checkbox])"))) {
      localStorage.removeItem(draftKey(form));
      if (note) note.hidden = true;
      return;
    }
    const fields = draftFields(form).filter((field) => !field.matches("[type=radio], [type=checkbox]") || field.checked)
      .map((field) => [field.name, field.value]);
    localStorage.setItem(draftKey(form), JSON.stringify({ at: Date.now(), fields }));
    if (note) { note.textContent = "Draft kept in this browser"; note.hidden = false; }
  } catch {
    if (note) { note.textContent = "This browser keeps no drafts"; note.hidden = false; }
  }
}

function bringDraftBack(form) {
  let kept = null;
  try { kept = JSON.parse(localStorage.getItem(draftKey(form))); } catch { /* no storage, or not ours */ }
  if (!kept?.fields) return; // else it is what was typed last, whatever the browser itself has brought back
  let changed = false;
  for (const field of draftFields(form)) {
    const values = kept.fields.filter(([name]) => name === field.name).map(([, value]) => value);
    if (field.matches("[type=radio], [type=checkbox]")) field.checked = values.includes(field.value);
    else if (values.length) {
      changed ||= field.name.startsWith("was_") && field.value !== values[0];
      field.value = values[0];
      if (field.dataset.longest) tellLength(field);
    }
  }
  if (!isTyped(form)) return dropDraft(form); // it has been taken
  if (form.matches("[data-auto]")) showUnsaved(form);
  for (let box = form.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
  const note = one(".kept-note", form);
  if (note) { note.textContent = changed ? "Draft brought back; somebody has changed this since" : "Draft brought back"; note.hidden = false; }
}

/** A fact that was refused, or not sent: it is sent by a button, or left as it was. */
function showUnsaved(form) {
  form.dataset.refused = "";
  if (one(".wrong", form)) return;
  const [line, save, leave] = ["p", "button", "a"].map((name) => document.createElement(name));
  Object.assign(line, { className: "wrong", textContent: "Not saved. " });
  Object.assign(save, { className: "button", textContent: "Save" });
  Object.assign(leave, { className: "quiet", href: location.pathname, textContent: "Leave it as it was" });
  leave.dataset.theirs = "";
  line.append(save, " ", leave);
  form.append(line);
}

function dropDraft(form) {
  try { localStorage.removeItem(draftKey(form)); } catch { /* there is none */ }
  const note = one(".kept-note", form);
  if (note) note.hidden = true;
}

function dropOldDrafts() {
  try {
    for (const key of Object.keys(localStorage).filter((name) => name.startsWith("draft "))) {
      const { at } = JSON.parse(localStorage.getItem(key)) ?? {};
      if (!(Date.now() - at < KEPT_DAYS * 86400e3)) localStorage.removeItem(key);
    }
  } catch { /* nothing to tidy */ }
}

/** Nothing of what somebody typed stays for whoever uses this browser next. */
function forget(isTheirs) {
  try {
    for (const key of Object.keys(localStorage).filter((name) => name.startsWith("draft ") && isTheirs(name))) localStorage.removeItem(key);
  } catch { /* nothing was kept */ }
}

/** Drafts of others are none of this person's business; pages of others that are still open leave. */
function takePossession() {
  const mine = `draft ${me} `;
  forget((key) => !key.startsWith(mine));
  try {
    if (localStorage.getItem(PERSON) !== me) {
      sessionStorage.clear();
      localStorage.setItem(PERSON, me);
    }
  } catch { /* nothing is kept */ }
  addEventListener("storage", ({ key, newValue }) => { if (key === PERSON && newValue !== me && newValue !== "") leavePage(); });
  addEventListener("pageshow", ({ persisted }) => {
    try { if (persisted && localStorage.getItem(PERSON) !== me) leavePage(); } catch { /* nothing is kept */ }
  });
  document.addEventListener("submit", ({ target }) => {
    if (new URL(target.action).pathname !== "/sign-out") return;
    forget((key) => key.startsWith(mine));
    try {
      sessionStorage.clear();
      localStorage.setItem(PERSON, ""); // the page that follows tells the others, once the session has ended
    } catch { /* nothing is kept */ }
  });
}

function leavePage() {
  for (const form of document.forms) form.reset(); // or the browser would bring back what was typed
  document.documentElement.hidden = true;
  location.replace("/");
}

const met = new WeakSet();

/** Forms that come with a newer version of the page get their drafts, too. */
function welcomeForms() {
  if (!me) return;
  for (const form of all("form[data-draft]")) {
    if (met.has(form)) continue;
    met.add(form);
    bringDraftBack(form);
    all(".kept-text").forEach((box) => box.remove());
  }
}

function startDrafts() {
  if (!me) {
    try { if (localStorage.getItem(PERSON) === "") localStorage.removeItem(PERSON); } catch { /* nothing is kept */ }
    return;
  }
  takePossession();
  dropOldDrafts();
  welcomeForms();
  document.addEventListener("input", ({ target }) => {
    const form = target.closest?.("form[data-draft]");
    if (form) keepDraft(form);
  });
}
