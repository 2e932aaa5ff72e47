/** The page: ask, verify, show. */

import { writtenMoment } from "../core/fields.js";
import { Choice } from "./choose.js";
import { byId, sized } from "./dom.js";
import { Link } from "./link.js";
import { showResult } from "./result.js";

const link = new Link();
const choice = new Choice(() => {
  byId("verify").disabled = Boolean(choice.missing);
  byId("hint").textContent = choice.missing ?? "";
});

byId("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (choice.missing) return;
  working(true);
  const { items, root, pasted: fingerprint, now } = choice;
  const answer = await link.verify({ items, root, fingerprint, now }, progress);
  working(false);
  byId("unable").hidden = !answer.sorry;
  byId("unable").textContent = answer.sorry ?? "";
  if (!answer.sorry) showResult(answer, (text, most) => link.find(text, most));
});

byId("cancel").addEventListener("click", () => {
  link.cancel();
  working(false);
  byId("hint").textContent = "It was cancelled; there is no verdict.";
});

function working(yes) {
  byId("working").hidden = !yes;
  byId("result").hidden = true;
  byId("unable").hidden = true;
  for (const field of document.querySelectorAll("#ask fieldset, #verify")) field.disabled = yes;
  byId("bar").removeAttribute("value");
  byId("done").textContent = yes ? "Reading what was signed…" : "";
  byId("hint").textContent = "";
}

function progress(done, all) {
  Object.assign(byId("bar"), { max: all, value: done });
  byId("done").textContent = `${sized(done)} of ${sized(all)}`;
}

function tick() {
  byId("clock").textContent = writtenMoment(Date.now());
}

if (!globalThis.crypto?.subtle) {
  byId("unable").textContent = "This browser gives this page no WebCrypto; open it in a newer one, from a file.";
  byId("unable").hidden = false;
}
choice.changed();
tick();
setInterval(tick, 1000);
