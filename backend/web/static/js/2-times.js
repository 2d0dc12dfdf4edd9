// Times as people say them, kept fresh; the exact one, in this browser's zone, is the title.

const exactly = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
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
    const then = new Date(time.dateTime);
    const [text, title] = [distance(then), exactly.format(then)];
    if (time.textContent !== text) time.textContent = text;
    if (time.title !== title) time.title = title;
  }
}
