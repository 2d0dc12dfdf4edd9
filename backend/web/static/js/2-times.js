// Times as people say them, kept fresh; the exact one, in this browser's zone, is the title.

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
  }
}

function tellExactly({ target }) {
  const time = target.closest?.("time");
  if (!time || time.dataset.exact) return;
  exactly ??= new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  time.title = exactly.format(new Date(time.dateTime));
  time.dataset.exact = "yes";
}
