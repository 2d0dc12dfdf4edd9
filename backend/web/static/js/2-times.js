// Times as people say them, kept fresh; the exact one, in this browser's zone, is there by pointer, focus, touch and in print.

let exactly = null; // made when it is first asked for: it takes longer than the rest of this file
const UNITS = [["y", 31557600], ["d", 86400], ["h", 3600], ["min", 60]];

const LONG = 30 * 86400;
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

function span(seconds) {
  const [unit, length] = UNITS.find(([, size]) => seconds >= size) ?? [];
  return unit ? `${Math.floor(seconds / length)} ${unit}` : "";
}

function distance(then) {
  const seconds = (Date.now() - then) / 1000;
  if (Math.abs(seconds) >= LONG) return dayOf(new Date(then));
  const amount = span(Math.abs(seconds));
  if (!amount) return seconds >= 0 ? "just now" : "in a moment";
  return seconds > 0 ? `${amount} ago` : `in ${amount}`;
}

function dayOf(date) {
  const day = `${date.getDate()} ${MONTHS[date.getMonth()]}`;
  return date.getFullYear() === new Date().getFullYear() ? day : `${day} ${date.getFullYear()}`;
}

/** A promise says how late it is, from the moment on at which it breaks. */
function promiseText(promise, then) {
  const late = (Date.now() - then) / 1000;
  const [text, ofAnswer] = [span(late), promise.dataset.promise === "first answer"];
  promise.classList.toggle("late", late > 0);
  one(".label", promise).textContent = ofAnswer ? "first answer" : late > 0 ? "overdue" : "due";
  if (late <= 0) return distance(then);
  if (ofAnswer) return text ? `${text} late` : "late";
  return text ? `by ${text}` : "just now";
}

function localise(within) {
  for (const time of all("time", within)) {
    const [then, promise] = [Date.parse(time.dateTime), time.closest("[data-promise]")];
    const text = promise ? promiseText(promise, then) : distance(then);
    if (time.textContent !== text) time.textContent = text;
    if (!time.closest(".row, a, button, summary")) time.tabIndex = 0;
  }
}

function exactOf(time) {
  exactly ??= new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  return exactly.format(new Date(time.dateTime));
}

function tellExactly({ target }) {
  const time = target.closest?.("time");
  if (time) time.title = exactOf(time);
}

/** Paper has one form of time, whatever was pointed at before. */
function tellAllExactly() {
  hideExactly();
  for (const time of all("time")) time.title = exactOf(time);
}

/** What a time is of, where several stand in a row. */
const timeName = (time) => time.closest("[data-promise]")?.dataset.promise ?? (time.closest(".row") ? "changed" : "");

/** The exact times beside what is focused or tapped: `title` is for those who point alone. */
function showExactly(anchor, times) {
  let tip = one("#exact");
  if (!tip) {
    tip = document.createElement("div");
    Object.assign(tip, { id: "exact", role: "tooltip" });
    document.body.append(tip);
  }
  tip.textContent = times.map((time) => `${timeName(time)} ${exactOf(time)}`.trim()).join(" · ");
  const [place, size] = [anchor.getBoundingClientRect(), tip.getBoundingClientRect()];
  tip.style.left = `${Math.max(8, Math.min(place.left, document.documentElement.clientWidth - size.width - 8))}px`;
  tip.style.top = `${place.bottom + size.height + 8 > innerHeight ? place.top - size.height - 4 : place.bottom + 4}px`;
  anchor.setAttribute("aria-describedby", "exact");
}

function hideExactly() {
  all("[aria-describedby=exact]").forEach((anchor) => anchor.removeAttribute("aria-describedby"));
  one("#exact")?.remove();
}

/** The server speaks of days and hours as they are here: it is told where that is, as zone.js does where pages show days. */
function tellZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!/^[\w+\-/]{1,100}$/.test(zone ?? "")) return;
  const told = `tz=${zone}`;
  if (document.cookie.split("; ").includes(told)) return;
  document.cookie = `${told}; path=/; max-age=31536000; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;
}

function startTimes() {
  tellZone();
  localise(document);
  setInterval(() => localise(document), 10000);
  document.addEventListener("pointerover", tellExactly);
  addEventListener("beforeprint", tellAllExactly);
  matchMedia("print").addEventListener("change", ({ matches }) => { if (matches) tellAllExactly(); });
  document.addEventListener("focusin", ({ target }) => {
    hideExactly();
    const times = target.matches("time") ? [target] : target.matches(".row .title") ? all("time", target.closest(".row")) : [];
    if (times.length && target.matches(":focus-visible")) showExactly(target, times);
  });
  document.addEventListener("focusout", hideExactly);
  document.addEventListener("click", ({ target }) => {
    const time = target.closest?.("time");
    hideExactly();
    if (time && !time.closest("a, button, summary")) showExactly(time, [time]);
  });
  document.addEventListener("keydown", ({ key }) => { if (key === "Escape") hideExactly(); });
  addEventListener("scroll", hideExactly, { passive: true });
}
