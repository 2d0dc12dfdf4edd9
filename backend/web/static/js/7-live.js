// What others do appears here. One stream while the page is looked at: hidden tabs would use up the browser's connections.

const KINDS = ["created", "changed", "commented", "attached", "detached", "resolved", "reopened", "deleted", "restored",
  "merged", "absorbed", "split", "linked", "unlinked", "watched", "unwatched", "triaged", "imported"];
const SAYS = {
  commented: "has written something", changed: "has changed this ticket", triaged: "has changed this ticket", attached: "has attached a file",
  resolved: "has resolved this ticket", reopened: "has reopened this ticket", deleted: "has moved this ticket to the trash",
};
const PAUSE = 1200;
const OVERDUE_EVERY = 60000; // nobody does anything when a promise breaks: a list of those that did asks again

let stream = null;
let wait = 1000;
let lastRefresh = 0;
let refreshTimer = 0;

function refreshSoon() {
  if (refreshTimer) return;
  const pause = Math.max(60, lastRefresh + PAUSE - Date.now());
  refreshTimer = setTimeout(async () => {
    refreshTimer = 0;
    lastRefresh = Date.now();
    await refresh();
  }, pause);
}

function heard(event) {
  document.body.dataset.position = event.lastEventId;
  const { actor, kind } = JSON.parse(event.data);
  refreshSoon();
  const what = SAYS[kind.replace("ticket.", "")];
  if (document.body.dataset.live !== "all" && what && actor !== document.body.dataset.name) notify(`${actor} ${what}.`);
}

function listen() {
  const about = document.body.dataset.live;
  if (!about || document.hidden || stream) return;
  const asked = new URLSearchParams({ after: document.body.dataset.position ?? "0" });
  if (about !== "all") asked.set("ticket_id", about);
  stream = new EventSource(`/api/events?${asked}`);
  for (const kind of KINDS) stream.addEventListener(`ticket.${kind}`, heard);
  stream.addEventListener("hello", () => { wait = 1000; document.documentElement.dataset.live = "yes"; });
  stream.addEventListener("error", () => {
    document.documentElement.dataset.live = "no";
    if (stream?.readyState !== EventSource.CLOSED) return; // the browser comes back by itself
    stream = null;
    setTimeout(() => { refresh().then((answer) => answer?.ok && listen()); }, wait);
    wait = Math.min(60000, wait * 2);
  });
}

function stopListening() {
  stream?.close();
  stream = null;
}

/** What goes on in the background is asked for again until it has ended. */
function followWork() {
  if (!one("[data-again]")) return;
  setTimeout(() => refresh().then(followWork), PAUSE);
}

function startLive() {
  followWork();
  if (!document.body.dataset.live) return;
  document.addEventListener("visibilitychange", () => { if (document.hidden) stopListening(); else listen(); });
  addEventListener("pagehide", stopListening);
  addEventListener("pageshow", (event) => { if (event.persisted) { refresh(); listen(); } });
  listen();
  setInterval(() => { if (!document.hidden && /overdue/.test(location.search)) refreshSoon(); }, OVERDUE_EVERY);
}
