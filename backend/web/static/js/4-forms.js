// Forms that stay on their page: sent in the background, and the page brought up to date with the answer.

const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Send a form; the answer after all redirections. With `onProgress`, told the share of it that is sent. */
function transmit(form, data, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("accept", "text/html");
    request.upload.onprogress = (event) => event.lengthComputable && onProgress?.(event.loaded / event.total);
    request.onload = () => resolve({ status: request.status, url: request.responseURL, text: request.responseText });
    request.onerror = request.ontimeout = () => reject(new Error("no connection"));
    request.send(form.enctype === "multipart/form-data" ? data : new URLSearchParams(data));
  });
}

function showProblem(form, nodes) {
  const slot = one(".problem-slot", form) ?? one("#problems") ?? one("#list") ?? form;
  one(".problem", slot)?.remove();
  if (!nodes) return;
  slot.prepend(nodes);
  nodes.scrollIntoView({ block: "nearest" });
}

function problemOf(text) {
  const box = document.createElement("div");
  const line = document.createElement("p");
  box.className = "problem";
  box.setAttribute("role", "alert");
  line.textContent = text;
  box.append(line);
  return box;
}

async function send(form, submitter) {
  if (form.ariaBusy === "true") return;
  const tooLong = one(".too-long", form)?.previousElementSibling;
  if (tooLong) {
    showProblem(form, problemOf("This is too long to send. Nothing is lost: shorten it, or attach it as a file."));
    tooLong.focus();
    return;
  }
  const data = new FormData(form, submitter ?? undefined);
  const files = all("input[type=file]", form).some((input) => input.files.length);
  const bar = one("progress", form);
  const button = submitter ?? one("button.primary, button", form);
  form.ariaBusy = "true";
  button?.setAttribute("aria-busy", "true");
  if (bar && files) Object.assign(bar, { value: 0, hidden: false });
  try {
    const answer = await transmit(form, data, files && bar ? (share) => { bar.value = share; } : null);
    settle(form, answer);
  } catch {
    showProblem(form, problemOf("The server can't be reached. What you typed is kept; try again."));
  } finally {
    form.ariaBusy = "false";
    button?.removeAttribute("aria-busy");
    if (bar) bar.hidden = true;
  }
}

/** What the answer means for the form and the page. What was typed goes only once it has been taken. */
function settle(form, { status, url, text }) {
  if (status === 401 || new URL(url).pathname === "/sign-in") {
    showProblem(form, problemOf("Your session has ended. What you typed is kept: sign in (in another tab), and send it again."));
    signedOut();
    return;
  }
  const page = parsed(text);
  const part = form.closest("[data-later]");
  const taken = status >= 200 && status < 300;
  if (taken) {
    showProblem(form, null);
    dropDraft(form);
    const there = new URL(url);
    if (!part && there.pathname !== location.pathname || form.hasAttribute("data-go")) {
      location.assign(there.pathname + there.search + there.hash);
      return;
    }
    if (form.dataset.main !== undefined) return becomeMain(page);
    const held = form.contains(document.activeElement);
    empty(form);
    if (form.dataset.auto !== undefined) becomeFact(form, page);
    take(page);
    say("Saved");
    if (held) letGo(form);
    return;
  }
  const same = form.dataset.main !== undefined && one(`form[data-draft="${form.dataset.draft}"]`, page);
  if (same) {
    same.dataset.refused = "";
    return becomeMain(page);
  }
  const told = one(".problem", page) ?? problemOf(one("#problem-line", page)?.textContent ?? `The server answered ${status}. What you typed is kept; try again.`);
  showProblem(form, document.importNode(told, true));
  showRefused(page);
  if (form.isConnected && form.matches("[data-auto]") && one("select", form)) form.reset(); // a choice is easily made again
  if (page.getElementById("timeline") || page.getElementById("list")) take(page);
  if (part) bring(part); // what is offered there may be what was refused
}

/** A fact as the server keeps it, which may be spelled otherwise, also while the keyboard is still in its field. */
function becomeFact(form, page) {
  const fresh = page.getElementById(form.id);
  for (const field of fresh ? all("input", form) : []) {
    const kept = one(`input[name="${field.name}"]`, fresh);
    if (kept) field.value = field.defaultValue = kept.value;
  }
}

/** Forms as the server shows them after a refusal: with what was typed, what it is now, and the choice between them. */
function showRefused(page) {
  for (const fresh of all("form[id][data-refused]", page)) {
    const old = document.getElementById(fresh.id);
    if (!old) continue;
    const form = document.importNode(fresh, true);
    const held = old.contains(document.activeElement) && document.activeElement.id;
    old.replaceWith(form);
    form.closest("details")?.setAttribute("open", "");
    if (form.matches("[data-draft]")) keepDraft(form);
    all("[data-longest]", form).forEach(tellLength);
    if (held) document.getElementById(held)?.focus();
  }
}

/** The whole of a page without regions. Drafts of its other forms are brought back. */
function becomeMain(page) {
  const fresh = document.importNode(one("#main", page), true);
  one("#main").replaceWith(fresh);
  document.title = page.title;
  for (const form of all("form[data-draft]", fresh)) {
    if (form.dataset.refused === undefined) bringDraftBack(form);
    else keepDraft(form);
  }
  all("[data-longest]", fresh).forEach(tellLength);
  localise(fresh);
  (one(".problem, .secret", fresh) ?? fresh).scrollIntoView({ block: "nearest" });
  const problem = one(".problem", fresh);
  if (problem) problem.tabIndex = -1;
  (problem ?? one(".secret", fresh) ?? fresh).focus({ preventScroll: true });
  say(problem ? problem.textContent : "Saved");
}

/** After it was sent a form that one types into does not keep the keyboard. */
function letGo(form) {
  if (!one("textarea, input:not([type=hidden])", form)) return;
  if (form.matches("[data-auto]") || document.activeElement !== document.body && !form.contains(document.activeElement)) return;
  const summary = one("summary", form.closest("details") ?? undefined);
  (form.closest("details") ? summary : one("#latest") ?? one("#main"))?.focus({ preventScroll: true });
}

// ---- Texts that are too long: said while they are typed, never cut ------------------------------------------------------

const pastes = new WeakMap();
const counted = new Intl.NumberFormat("en");
const lengthOf = (text) => text.length - (text.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0);

function tellLength(field) {
  const most = Number(field.dataset.longest);
  const length = field.value.length > most ? lengthOf(field.value) : 0;
  const told = field.parentElement.querySelector(`:scope > .too-long`);
  if (length <= most) {
    if (told) field.removeAttribute("aria-invalid");
    told?.remove();
    return;
  }
  const line = told ?? document.createElement("p");
  const words = `${counted.format(length)} characters; at most ${counted.format(most)} fit here. Nothing is cut.`;
  field.setAttribute("aria-invalid", "true");
  line.className = "wrong too-long";
  line.setAttribute("role", "status");
  if (told) {
    told.firstChild.textContent = words;
    return;
  }
  line.append(words);
  if (field.matches("textarea") && one("input[type=file]", field.form)) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "button", textContent: "Attach it as pasted.txt" });
    button.addEventListener("click", () => sendAsFile(field));
    line.append(" ", button);
  }
  field.after(line);
}

/** What was pasted, or all of it, becomes a file of the form; a few words stand in its place. */
function sendAsFile(field) {
  const most = Number(field.dataset.longest);
  const pasted = pastes.get(field);
  const without = pasted && field.value.includes(pasted) ? field.value.replace(pasted, () => "(see pasted.txt)") : null;
  const enough = without !== null && lengthOf(without) <= most;
  const input = one("input[type=file]", field.form);
  const before = input.files.length;
  addFiles(field.form, [new File([enough ? pasted : field.value], "pasted.txt", { type: "text/plain" })]);
  if (input.files.length === before) return; // no room for it
  field.value = enough ? without : "(see pasted.txt)";
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
}

/** Back to how the form began, ready for the next time. */
function empty(form) {
  delete form.dataset.refused;
  for (const field of all("textarea", form)) if (form.dataset.keep !== undefined) field.defaultValue = "";
  const note = one("#is-note:checked", form) !== null;
  if (form.dataset.keep !== undefined) form.reset();
  else for (const field of form.elements) {
    if (field.matches("[type=radio], [type=checkbox]")) field.defaultChecked = field.checked;
    else if (field.matches("input, textarea")) field.defaultValue = field.value;
  }
  if (form.dataset.auto !== undefined) all("option", form).forEach((option) => { option.defaultSelected = option.selected; });
  if (note) one("#is-note", form).checked = true;
  for (const key of all("input[name=once]", form)) key.value = newKey();
  for (const input of all("input[type=file]", form)) showChosen(input);
  form.closest("details")?.removeAttribute("open");
}

// ---- Filters: the list follows while somebody types --------------------------------------------------------------------

let asking = null;

async function applyFilters(form) {
  const asked = new URLSearchParams([...new FormData(form)].filter(([, value]) => String(value).trim()));
  const url = form.getAttribute("action") + (asked.size ? `?${asked}` : "");
  asking?.abort();
  asking = new AbortController();
  try {
    const answer = await fetchPage(url, { signal: asking.signal });
    if (!answer) return;
    history.replaceState(null, "", url);
    take(answer.page);
    const count = all("#list .row").length;
    say(count ? `${count} shown` : "Nothing matches");
  } catch (problem) {
    if (problem.name !== "AbortError") notify("The server can't be reached.");
  }
}

function countChosen() {
  const boxes = all("#list .c-pick input");
  const chosen = boxes.filter((box) => box.checked).length;
  boxes.forEach((box) => box.closest(".row").classList.toggle("ticked", box.checked));
  document.documentElement.classList.toggle("choosing", chosen > 0);
  const count = one(".bulk .count");
  if (count) count.textContent = `${chosen} chosen`;
}

/** The empty box names who reads it: the requester, or agents alone. */
function tellReaders() {
  const body = one("#body");
  if (!body?.dataset.note) return;
  body.dataset.reply ??= body.placeholder;
  body.placeholder = one("#is-note")?.checked ? body.dataset.note : body.dataset.reply;
}

/** Into what is being written, where the cursor is. */
function insert(text) {
  const body = one("#body");
  const before = body.value.slice(0, body.selectionStart);
  body.setRangeText(/\S$/.test(before) ? `\n\n${text}` : text, body.selectionStart, body.selectionEnd, "end");
  body.focus();
  body.dispatchEvent(new Event("input", { bubbles: true }));
}

function startForms() {
  if (one("#bulk")) countChosen(); // a browser that comes back may have kept the ticks
  document.addEventListener("click", (event) => {
    const { target } = event;
    const text = target.closest?.("[data-insert]")?.dataset.insert;
    if (text) insert(text);
    const leave = target.closest?.("[data-theirs]");
    if (leave) {
      event.preventDefault();
      const form = leave.closest("form");
      delete form.dataset.refused;
      form.reset();
      dropDraft(form);
      form.querySelectorAll("input:not([type=hidden]), select").forEach((field) => field.blur());
      one(".wrong", form)?.remove();
      refresh();
    }
    if (!target.closest?.("[data-all]")) return;
    all("#list .c-pick input").forEach((box) => { box.checked = true; });
    countChosen();
  });
  one("#insert")?.addEventListener("change", ({ target }) => {
    if (target.value) insert(target.value);
    target.value = "";
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.matches("[data-filters]")) {
      event.preventDefault();
      applyFilters(form);
    } else if (form.matches("[data-stay], [data-upload]")) {
      event.preventDefault();
      send(form, event.submitter);
    }
  });
  const waiting = new WeakMap();
  const soon = (form, wait, act) => { clearTimeout(waiting.get(form)); waiting.set(form, setTimeout(act, wait)); };
  document.addEventListener("input", ({ target }) => {
    const form = target.closest?.("form[data-filters]");
    if (form && target.matches("input")) soon(form, 160, () => applyFilters(form));
    if (target.matches("[data-longest]")) tellLength(target);
  });
  tellReaders();
  document.addEventListener("focusin", ({ target }) => { if (target.id === "body") tellReaders(); });
  document.addEventListener("change", ({ target }) => {
    const form = target.form;
    if (target.name === "internal") tellReaders();
    if (form?.id === "bulk") countChosen();
    if (form?.matches("[data-filters]")) soon(form, 0, () => applyFilters(form));
    // Arrow keys change a closed list with every press: wait for the choice to settle.
    else if (form?.matches("[data-auto]")) soon(form, target.matches("select") ? 350 : 0, () => form.isConnected && isTyped(form) && form.requestSubmit());
    else if (form?.matches("[data-draft]")) keepDraft(form);
  });
}
