"use strict";
// Before anything is drawn: the server speaks of days and hours as they are here, once it knows where that is. A page
// that was made for another zone is asked for again, and not shown meanwhile.
(() => {
  const shown = document.currentScript.dataset.zone;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!/^[\w+\-/]{1,100}$/.test(zone ?? "")) return;
  const told = `tz=${zone}`;
  const isTold = () => document.cookie.split("; ").includes(told);
  if (isTold()) return; // also where the server does not know it: once is enough
  document.cookie = `${told}; path=/; max-age=31536000; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;
  if (shown === zone || !isTold()) return;
  document.documentElement.style.visibility = "hidden";
  location.reload();
})();
