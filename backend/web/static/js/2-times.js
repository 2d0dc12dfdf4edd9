// Times as people say them, kept fresh; the exact one, in this browser's zone, is the title.

let exactly = null; // made when it is first asked for: it takes longer than the rest of this file
const UNITS = [["y", 31557600], ["d", 86400], ["h", 3600], ["min", 60]];

function distance(then) {
  const seconds = (Date.now() - then) / 1000;
  const [unit, length] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? [];
  if (!unit) return seconds >= 0 ? "just now" : "in a moment";
  const amount = `${Math.floor(Math.abs(seconds) / length)} ${unit}`;
  return seconds > 0 ? `${amount} ago` : `in ${amount}`;
}

function localise(within) {
  for (const time of all("time", within)) {
    const text = distance(Date.parse(time.dateTime));
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
