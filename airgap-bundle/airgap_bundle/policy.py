"""What the site demands of a bundle beyond its signatures: a small file that the site writes.

    format: airgap-bundle/policy/1
    expired: two people                  # who admits a bundle past its date; or: refuse
    vouched:
      - part: apt
        team: debian
        threshold: 1
        keys:
          - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFE4... dora@debian-team

Without a file: expired bundles are refused, and nothing is demanded of content teams.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from airgap_bundle.attest import Demand
from airgap_bundle.errors import InputProblem, KeyProblem
from airgap_bundle.keys import PublicKey

FORMAT = "airgap-bundle/policy/1"
REFUSE, TWO_PEOPLE = "refuse", "two people"
MOST_BYTES = 256 * 1024
_NAME = re.compile(r"[a-z0-9-]{1,100}")


class PolicyProblem(InputProblem):
    """The site's policy cannot be used."""

    exit_code = 14
    message = "{where}: {why}"
    hint = "Correct the policy; a bundle is not judged by one that is only half understood."


@dataclass(frozen=True)
class Policy:
    """What is demanded here."""

    expired: str = REFUSE
    """What happens to a bundle past its date: `refuse`, or `two people` may admit it."""
    demands: tuple[Demand, ...] = ()
    """Which teams must vouch for which parts."""
    admitting: tuple[str, ...] = ()
    """Who admits this bundle although it expired. Given each time, never in the file."""

    @property
    def admitted(self) -> bool:
        """Whether two different people admit an expired bundle, and the site lets them."""
        return self.expired == TWO_PEOPLE and len(self.people) >= 2

    @property
    def people(self) -> tuple[str, ...]:
        """Who admits, each once, however the name was written."""
        return tuple(
            {name.strip().casefold(): name.strip() for name in self.admitting if name.strip()}.values()
        )

    def admitted_by(self, *names: str) -> Policy:
        """The same when these people admit what expired."""
        return replace(self, admitting=names)

    @classmethod
    def read(cls, path: Path) -> Policy:
        """Read the site's file. Raises PolicyProblem."""
        try:
            with path.open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise PolicyProblem(where=path, why=f"it cannot be read ({error.strerror})") from None
        if len(data) > MOST_BYTES:
            raise PolicyProblem(where=path, why=f"it is larger than {MOST_BYTES} bytes")
        return cls.parse(data.decode("utf-8", "replace"), str(path))

    @classmethod
    def parse(cls, text: str, where: str = "policy") -> Policy:
        """Read the text of a policy, strictly. Raises PolicyProblem."""
        try:
            value = yaml.load(text, _Strict)  # noqa: S506 - a SafeLoader that refuses a key twice
            return cls._of(value)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f"line {mark.line + 1}: " if mark else ""
            raise PolicyProblem(where=where, why=f"{line}it is not YAML as it should be") from None
        except KeyError as error:
            raise PolicyProblem(where=where, why=f"{error} is missing") from None
        except KeyProblem as problem:
            raise PolicyProblem(where=where, why=problem) from None
        except (TypeError, ValueError) as error:
            raise PolicyProblem(where=where, why=error) from None

    @classmethod
    def _of(cls, value: Any) -> Policy:
        _fields(value, {"format", "expired", "vouched"}, "the policy")
        if value["format"] != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        expired = value.get("expired", REFUSE)
        if expired not in (REFUSE, TWO_PEOPLE):
            raise ValueError(f"`expired` is neither `{REFUSE}` nor `{TWO_PEOPLE}`")
        vouched = value.get("vouched") or []
        if not isinstance(vouched, list):
            raise TypeError("`vouched` is not a list")
        return cls(expired, tuple(_demand(one) for one in vouched))


def _demand(value: Any) -> Demand:
    _fields(value, {"part", "team", "threshold", "keys"}, "a demand in `vouched`")
    part, team, threshold, lines = value["part"], value["team"], value.get("threshold", 1), value["keys"]
    for name in (part, team):
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a part or a team")
    if not isinstance(lines, list) or not lines:
        raise TypeError(f"the keys of {team} are not a list")
    keys = tuple(PublicKey.parse(str(line), f"a key of {team}") for line in lines)
    if len(set(keys)) != len(keys):
        raise ValueError(f"a key of {team} is there twice")
    if not isinstance(threshold, int) or isinstance(threshold, bool) or not 1 <= threshold <= len(keys):
        raise ValueError(f"{team} can never reach its threshold: it has {len(keys)} keys")
    return Demand(part, team, keys, threshold)


def _fields(value: Any, known: set[str], what: str) -> None:
    if not isinstance(value, dict):
        raise TypeError(f"{what} is not a mapping")
    if unknown := sorted(map(str, set(value) - known)):
        raise ValueError(f"{what} has the unknown field {unknown[0]!r}")


class _Strict(yaml.SafeLoader):
    """YAML in which a key that comes twice is an error: the second would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if len(set(keys)) != len(keys):
            raise yaml.constructor.ConstructorError(None, None, "a key is there twice", node.start_mark)
        return super().construct_mapping(node, deep)
