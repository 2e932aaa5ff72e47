"""Whatever is flipped or cut, the page refuses it: no damage is accepted, none makes the verifier fail."""

from __future__ import annotations

import json

import pytest

from tests.browser.core import js
from tests.browser.devtools import Page
from vectors.forge import entry, forge, packed
from vectors.frames import frame
from vectors.vector import CLOCK

LINES = (entry("files/hello.txt", b"Hello, zone!\n"), packed("files/packed.txt", b"packed", frame(b"packed")))
STRIDE = 61
"""Bytes between the damages of the short version: prime, so that all kinds of fields are met."""
AT_ONCE = 40
"""Damages that one question to the page tries."""

TRY = """
globalThis.tryDamage = async (data, root, now, kind, places) => {
  const { verify } = modules["core/verify.js"];
  const trusted = { root: await modules["core/trust.js"].readTrustedRoot(root) };
  const outcome = async (bytes) => {
    const file = new File([bytes], "zone-updates-7.bundle");
    try {
      return (await verify([{ path: "zone-updates-7.bundle", file }], trusted, now)).report.verdict;
    } catch (problem) {
      return `a fault: ${problem.stack}`;
    }
  };
  const wrong = [];
  if ((await outcome(data)) !== "accepted") wrong.push("the whole one is not accepted");
  for (const at of places) {
    let damaged = data.slice();
    if (kind === "flip") damaged[at] ^= 1 << at % 8;
    if (kind === "zero") damaged[at] = 0;
    if (kind === "cut") damaged = data.slice(0, at);
    if (kind === "drop") damaged.copyWithin(at, at + 1);
    if (damaged.length === data.length && damaged.every((byte, i) => byte === data[i])) continue;
    const verdict = await outcome(damaged);
    if (verdict !== "refused") wrong.push(`${kind} at ${at}: ${verdict}`);
  }
  return wrong;
}, undefined
"""


def damages(core: Page, kind: str, step: int) -> list[str]:
    """What went wrong when a small bundle was damaged at every `step` bytes."""
    made = forge(LINES)
    [data] = made.volumes().values()
    core.run(TRY)
    wrong: list[str] = []
    given = f"{js(data)}, {js(made.root)}, Date.parse({json.dumps(CLOCK)})"
    places = list(range(0, len(data), step))
    for first in range(0, len(places), AT_ONCE):
        wrong += core.run(f"tryDamage({given}, '{kind}', {places[first : first + AT_ONCE]})")
    return wrong


@pytest.mark.parametrize("kind", ["flip", "zero", "cut", "drop"])
def test_damage_here_and_there_is_refused(core: Page, kind: str) -> None:
    assert damages(core, kind, STRIDE) == []


@pytest.mark.long
@pytest.mark.parametrize("kind", ["flip", "cut"])
def test_damage_at_every_byte_is_refused(core: Page, kind: str) -> None:
    assert damages(core, kind, 1) == []
