/** The verifier at work in a worker, so that the page stays awake; in the page where no worker can be had. */

import { serve } from "../core/serve.js";

// The page's policy lets only what this makes become a worker's address.
const workers = globalThis.trustedTypes?.createPolicy("verifier", { createScriptURL: (url) => url });

export class Link {
  #port = null;
  #end = () => {};
  #waiting = new Map(); // number of the question -> {resolve, progress}
  #asked = 0;

  /** Verify; gives {report, facts} or {sorry}. `progress(done, all)` is told bytes. */
  verify(question, progress) {
    return this.#ask({ verify: question }, progress);
  }

  /** Rows of the contents that were verified last. */
  find(text, most) {
    return this.#ask({ find: text, most });
  }

  /** Stop at once; whoever waits hears of it no more. */
  cancel() {
    this.#end();
    this.#port = null;
    this.#waiting.clear();
  }

  #ask(message, progress) {
    this.#port ??= this.#start();
    const number = ++this.#asked;
    return new Promise((resolve) => {
      this.#waiting.set(number, { resolve, progress });
      this.#port.postMessage({ ...message, number });
    });
  }

  #start() {
    const port = startWorker() ?? startHere();
    this.#end = () => port.terminate();
    port.onmessage = ({ data }) => {
      const waiting = this.#waiting.get(data.number);
      if (data.progress) {
        waiting?.progress?.(...data.progress);
        return;
      }
      this.#waiting.delete(data.number);
      waiting?.resolve(data);
    };
    port.onerror = (event) => {
      for (const { resolve } of this.#waiting.values()) {
        resolve({ sorry: `The verifier stopped, so there is no verdict: ${event.message}` });
      }
      this.cancel(); // the next question gets a new one
    };
    return port;
  }
}

/** The worker's program is the first script of this page, and one line that starts it. */
function startWorker() {
  try {
    const source = [document.getElementById("core").textContent, '\nmodules["core/serve.js"].serve(self);\n'];
    const url = URL.createObjectURL(new Blob(source, { type: "text/javascript" }));
    return new Worker(workers ? workers.createScriptURL(url) : url);
  } catch {
    return null;
  }
}

function startHere() {
  const { port1, port2 } = new MessageChannel();
  serve(port2);
  port1.terminate = () => port1.close();
  return port1;
}
