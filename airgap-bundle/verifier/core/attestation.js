/** What attestations say, to be listed (SPEC section 9). Targets signed them; nothing here judges them. */

import { unbase64 } from "./bytes.js";
import { readCanonical } from "./json.js";

/** {part, team, text, current, signers} of an attestation file, or null when it is not one. */
export function readAttestation(bytes, parts) {
  try {
    const envelope = readCanonical(bytes, "attestation");
    const statement = readCanonical(unbase64(envelope.payload), "statement");
    const [{ name, digest }] = statement.subject;
    const { team, text } = statement.predicate;
    return {
      part: String(name),
      team: String(team),
      text: String(text),
      current: parts.get(name)?.sha256 === digest.sha256,
      signers: envelope.signatures.map(({ keyid }) => String(keyid)),
    };
  } catch {
    return null;
  }
}
