// Parts of a page that take a while: fetched once the rest is there, and again when their address (`data-later`) is another.

function bring(part) {
  const address = part.dataset.later;
  return fetchPage(address)
    .then((answer) => { if (answer?.ok && part.dataset.later === address) take(answer.page); })
    .catch(() => {}); // what is there stays, at first a link to the same
}

/** `fresh` is the part itself, or its place in a newer version of this page. */
function becomeLater(part, fresh) {
  if (fresh.dataset.later) {
    if (fresh.dataset.later === part.dataset.later) return;
    part.dataset.later = fresh.dataset.later;
    bring(part);
    return;
  }
  const held = part.contains(document.activeElement);
  becomeInOrder(part, fresh);
  if (held && !part.contains(document.activeElement)) one("h2", part).focus();
}
