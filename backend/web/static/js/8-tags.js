// Tags are completed while one types; of several, the one after the last comma.

let tagsAsked = 0;
let tagsTimer = 0;

async function completeTags(input) {
  const end = input.dataset.tags === "several" ? input.value.lastIndexOf(",") + 1 : 0;
  const asked = ++tagsAsked;
  const begun = input.value.slice(end).trim().slice(0, 50);
  const answer = await fetch(`/api/tags?prefix=${encodeURIComponent(begun)}`);
  if (!answer.ok || asked !== tagsAsked) return;
  const before = end ? `${input.value.slice(0, end)} ` : "";
  const { items } = await answer.json();
  input.list.replaceChildren(...items.map(({ name }) => new Option("", before + name)));
}

document.addEventListener("input", ({ target }) => {
  if (!target.matches("[data-tags]")) return;
  clearTimeout(tagsTimer);
  tagsTimer = setTimeout(() => completeTags(target).catch(() => {}), 150); // what is offered already stays
});
