/** Numbers in sentences. */

/** 1234567 as 1,234,567. */
export function grouped(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** `1 blob`, `2 blobs`, `1,000 entries`; `many` where an s does not do. */
export function counted(number, one, many = `${one}s`) {
  return `${grouped(number)} ${number === 1 ? one : many}`;
}

/** The first few of many sentences, and how many there are besides. */
export function few(sentences, most = 3) {
  const more = sentences.length - most;
  return sentences.slice(0, most).join("; ") + (more > 0 ? `; and ${more} more` : "");
}
