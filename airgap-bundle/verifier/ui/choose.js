/** What the person chose: the bundle's files, the trusted root or its fingerprint, and a date. */

import { readFingerprint, typedSoFar } from "../core/fingerprint.js";
import { readTrustedRoot } from "../core/trust.js";
import { counted } from "../core/words.js";
import { byId, element, fingerprint, sized } from "./dom.js";

const MOST_ROOT = 512_000;
const NAMED = 4;

/** Watches the form; `changed` is called whenever a choice was made. */
export class Choice {
  items = []; // {path, file}
  root = null; // bytes of the root's file
  rootFingerprint = null;
  rootProblem = null;

  constructor(changed) {
    this.changed = changed;
    byId("files").addEventListener("change", ({ target }) => this.chose(fromInput(target.files)));
    byId("folder").addEventListener("change", ({ target }) => this.chose(fromInput(target.files)));
    byId("root").addEventListener("change", ({ target }) => this.choseRoot(target.files[0]));
    byId("fingerprint").addEventListener("input", () => this.judgeFingerprint());
    byId("date").addEventListener("input", () => changed());
    acceptDrops(byId("drop"), (items) => this.chose(items));
  }

  /** The given fingerprint as 64 digits; null when there is none, or it is none. */
  get pasted() {
    return readFingerprint(byId("fingerprint").value);
  }

  /** Milliseconds since 1970: the date that was given, else the clock's. */
  get now() {
    const given = byId("date").value;
    return given ? Date.parse(`${given}Z`) : Date.now();
  }

  /** Why it cannot begin yet, or null. */
  get missing() {
    if (!this.items.length) return "Choose the bundle first.";
    if (this.rootProblem) return "The root cannot be used.";
    if (byId("fingerprint").value.trim() && !this.pasted) return "The fingerprint is not complete.";
    if (!this.root && !this.pasted) return "Choose the trusted root, or paste its fingerprint.";
    if (this.root && this.pasted && this.pasted !== this.rootFingerprint) return "The root has another fingerprint.";
    if (Number.isNaN(this.now)) return "The date is not complete.";
    return null;
  }

  chose(items) {
    this.items = items;
    const bytes = items.reduce((sum, { file }) => sum + file.size, 0);
    const roots = [...new Set(items.map(({ path }) => path.split("/")[0]))];
    const names = roots.slice(0, NAMED).join(", ") + (roots.length > NAMED ? ", …" : "");
    const all = `${names}: ${counted(items.length, "file")}, ${sized(bytes)}`;
    show("chosen", [items.length ? all : "Nothing is chosen yet."]);
    this.changed();
  }

  async choseRoot(file) {
    Object.assign(this, { root: null, rootFingerprint: null, rootProblem: null });
    if (!file) return;
    try {
      if (file.size > MOST_ROOT) throw new Error("it is larger than a root can be");
      const bytes = new Uint8Array(await file.arrayBuffer());
      const { version, roles, fingerprint: digits } = await readTrustedRoot(bytes);
      Object.assign(this, { root: bytes, rootFingerprint: digits });
      const { keyids, threshold } = roles.root;
      const who = `${threshold} of ${keyids.length} people sign`;
      show("trusted", [
        `${file.name}: version ${version}, ${who}. Compare its fingerprint with the sheet, aloud:`,
        fingerprint(digits),
      ]);
    } catch (problem) {
      this.rootProblem = problem;
      show("trusted", [element("span", { className: "says wrong" }, `${file.name} is no root: ${problem.message}.`)]);
    }
    this.judgeFingerprint();
  }

  judgeFingerprint() {
    const typed = byId("fingerprint").value.trim();
    const says = byId("fingerprint-says");
    const differs = this.pasted && this.rootFingerprint && this.pasted !== this.rootFingerprint;
    says.classList.toggle("wrong", Boolean(differs));
    if (differs) says.textContent = "It is not the fingerprint of the root that was chosen.";
    else if (this.pasted && this.rootFingerprint) says.textContent = "It is that of the root that was chosen.";
    else if (this.pasted) says.textContent = "A root with this fingerprint must be in the bundle.";
    else says.textContent = typed ? `${typedSoFar(typed)}.` : "";
    this.changed();
  }
}

function show(id, children) {
  const place = byId(id);
  place.classList.add("set");
  place.replaceChildren(...children.map((child) => (child instanceof Node ? child : element("span", {}, child))));
}

function fromInput(files) {
  return [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

function acceptDrops(place, dropped) {
  const over = (yes) => (event) => {
    event.preventDefault();
    place.classList.toggle("over", yes);
  };
  place.addEventListener("dragover", over(true));
  place.addEventListener("dragleave", over(false));
  place.addEventListener("drop", async (event) => {
    over(false)(event);
    // All must be taken before anything is awaited: the event's data is gone after that.
    const things = [...event.dataTransfer.items].map((item) => ({
      file: item.getAsFile(),
      entry: item.webkitGetAsEntry?.(),
      handle: item.getAsFileSystemHandle?.().catch(() => null),
    }));
    const items = [];
    try {
      for (const thing of things) await collect(thing, items);
      dropped(items);
    } catch {
      dropped([]);
      show("chosen", ["This browser does not show the page what was dropped. Use the buttons."]);
    }
  });
  // A file that is dropped beside the place must not replace the page.
  for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());
}

/** Every file of what was dropped. Pages from a file may look into folders by handles only, in some browsers. */
async function collect({ file, entry, handle }, items) {
  const held = await handle;
  if (held) await collectHandle(held, held.name, items);
  else if (entry?.isDirectory) await collectEntry(entry, items);
  else if (file) items.push({ path: file.name, file });
}

async function collectHandle(handle, path, items) {
  if (handle.kind === "file") {
    items.push({ path, file: await handle.getFile() });
    return;
  }
  for await (const [name, one] of handle.entries()) await collectHandle(one, `${path}/${name}`, items);
}

async function collectEntry(entry, items) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    items.push({ path: entry.fullPath.replace(/^\//, ""), file });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // 100 at a time
    if (!some.length) return;
    for (const one of some) await collectEntry(one, items);
  }
}
