/** The verifier at work in a worker, so that the page stays awake; in the page where no worker can be had. */

import { serve } from "../core/serve.js";

// The page's policy lets only what this makes become a worker's address.
const workers = globalThis.trustedTypes?.createPolicy("verifier", { createScriptURL: (url) => url });

export class Link {
  #port = null;
  #end = () => {};
  #waiting = null; // {resolve, progress}

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
    this.#waiting = null;
  }

  #ask(message, progress) {
    this.#port ??= this.#start();
    return new Promise((resolve) => {
      this.#waiting = { resolve, progress };
      this.#port.postMessage(message);
    });
  }

  #start() {
    const port = startWorker() ?? startHere();
    this.#end = () => port.terminate();
    port.onmessage = ({ data }) => {
      if (data.progress) this.#waiting?.progress?.(...data.progress);
      else this.#waiting?.resolve(data);
    };
    port.onerror = (event) => this.#waiting?.resolve({ sorry: `The verifier stopped: ${event.message}` });
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
