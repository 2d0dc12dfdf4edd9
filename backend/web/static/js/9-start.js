// Everything above, set going once.

startDrafts();
startForms();
startFiles();
startKeys();
startRows();
startTimes();
try {
  if (document.body.matches(".queue")) sessionStorage.setItem("queue", location.search);
  const back = one("[data-back]");
  if (back) back.search = sessionStorage.getItem("queue") ?? "";
} catch { /* the plain queue will do */ }
startHolding();
startLive();
performance.mark("ready");
all("[data-later]").forEach(bring);
