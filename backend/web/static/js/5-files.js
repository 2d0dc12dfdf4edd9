// Files to send: chosen, dropped or pasted, they all end up in the form's own file input.

const kilobytes = (size) => (size < 1e6 ? `${Math.ceil(size / 1e3)} kB` : `${(size / 1e6).toFixed(1)} MB`);

function setFiles(input, files) {
  const bag = new DataTransfer();
  files.forEach((file) => bag.items.add(file));
  input.files = bag.files;
  showChosen(input);
}

function addFiles(form, files) {
  const input = one("input[type=file]", form);
  const box = one("[data-drop]", form);
  if (!input || !files.length) return;
  const most = Number(box.dataset.most);
  const chosen = [...input.files, ...files];
  if (chosen.length > most) notify(`At most ${most} files go with one form.`);
  setFiles(input, chosen.slice(0, most));
  say(`${input.files.length} files chosen`);
}

function showChosen(input) {
  const box = input.closest("[data-drop]");
  const list = one(".chosen", box);
  list.replaceChildren(...[...input.files].map((file, index) => {
    const item = document.createElement("li");
    const name = document.createElement("bdi");
    const size = document.createElement("span");
    const remove = document.createElement("button");
    if (/^image\/(png|jpeg|gif|webp|avif)$/.test(file.type)) {
      const picture = document.createElement("img");
      picture.src = URL.createObjectURL(file);
      picture.onload = picture.onerror = () => URL.revokeObjectURL(picture.src);
      picture.alt = "";
      item.append(picture);
    }
    name.textContent = file.name.replace(/[\u202a-\u202e\u2066-\u2069]/g, "");
    const tooLarge = file.size > Number(box.dataset.largest);
    size.className = tooLarge ? "too-large" : "soft";
    size.textContent = tooLarge ? `${kilobytes(file.size)}: too large` : kilobytes(file.size);
    Object.assign(remove, { type: "button", className: "quiet", textContent: "Remove" });
    remove.setAttribute("aria-label", `Remove ${file.name}`);
    remove.addEventListener("click", () => { setFiles(input, [...input.files].filter((_, other) => other !== index)); input.focus(); });
    item.append(name, size, remove);
    return item;
  }));
}

/** A pasted picture has no name of its own. */
const named = (file) => (file.name && file.name !== "image.png" ? file
  : new File([file], `pasted-${new Date().toISOString().slice(0, 19).replace(/\D/g, "")}.${file.type.split("/")[1] ?? "bin"}`, { type: file.type }));

const isPicture = (file) => file.type.startsWith("image/");

/** Programs put a picture of what was copied beside its text: then the text is meant. Where the text only names the files, they are. */
function isText(text, files) {
  const lines = text.split(/\r?\n/).filter((line) => line.trim());
  return files.every(isPicture) && lines.some((line) => !files.some((file) => line.trim().endsWith(file.name) || line.trim().endsWith(encodeURI(file.name))));
}

function startFiles() {
  document.addEventListener("change", ({ target }) => {
    if (target.matches?.("[data-drop] input[type=file]")) showChosen(target);
  });
  document.addEventListener("paste", (event) => {
    const { target, clipboardData } = event;
    const text = clipboardData?.getData("text/plain") ?? "";
    if (target.matches?.("[data-longest]")) pastes.set(target, text.replace(/\r\n?/g, "\n"));
    const form = target.closest?.("form[data-upload]");
    const files = [...(clipboardData?.files ?? [])];
    if (!form || !files.length || isText(text, files)) return;
    event.preventDefault();
    const written = text ? "" : parsed(clipboardData.getData("text/html")).body.textContent.trim();
    if (written && files.every(isPicture) && target.matches("textarea, input")) {
      target.setRangeText(written, target.selectionStart, target.selectionEnd, "end");
      target.dispatchEvent(new Event("input", { bubbles: true }));
    } else addFiles(form, files.map(named));
  });
  const goal = (event) => event.target.closest?.("form[data-upload]") ?? one("form[data-upload]");
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault(); // a file dropped beside the form must not replace the page, and what is typed
    goal(event)?.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) all(".over").forEach((form) => form.classList.remove("over"));
  });
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    all(".over").forEach((form) => form.classList.remove("over"));
    const form = goal(event);
    if (form) addFiles(form, [...event.dataTransfer.files]);
  });
}
