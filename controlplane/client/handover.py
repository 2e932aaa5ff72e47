"""Opening what a tenant manager was handed: needs the file and the manager's private key, nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from airgap_bundle.errors import InputProblem
from airgap_bundle.keys import Passphrase, PrivateKey, PublicKey
from airgap_bundle.sshsig import verify
from controlplane import places

FORMAT = "controlplane-handover/1"
NAMESPACE = "controlplane-handover"


class PackageUnusable(InputProblem):
    """A hand-over file that cannot be opened."""

    exit_code = 14
    message = "{file}: {why}"
    hint = "{remedy}"


def open_package(
    file: Path, key_file: str | None, plane_key: Path | None = None, passphrase: Passphrase | None = None
) -> dict[str, Any]:
    """The package with its secrets in the clear, its signature verified.

    With `plane_key` it must be signed by that key; without, by the key that it names itself, which only shows
    that it is undamaged. Raises PackageUnusable, SignatureRefused, KeyProblem.
    """
    try:
        made = json.loads(file.read_text())
        package, signature, named = made["package"], made["signature"], made["plane_key"]
        if package["format"] != FORMAT:
            raise ValueError
    except OSError as error:
        raise PackageUnusable(file=file, why=error.strerror, remedy="Name the file you were given.") from None
    except (ValueError, KeyError, TypeError):
        why = "is not a hand-over file"
        raise PackageUnusable(file=file, why=why, remedy="Name the file you were given.") from None
    signer = PublicKey.read(plane_key) if plane_key else PublicKey.parse(named, str(file))
    text = json.dumps(package, sort_keys=True, separators=(",", ":")).encode()
    verify(signer, NAMESPACE, text, signature)
    key = PrivateKey.load(Path(key_file) if key_file else places.key_path(), passphrase)
    if key.public.fingerprint != package["recipient"]:
        why = f"is sealed to {package['recipient']}, and this key is {key.public.fingerprint}"
        remedy = f"Use the private key of {package['manager']}, with --key."
        raise PackageUnusable(file=file, why=why, remedy=remedy)
    secrets = [json.loads(key.open_sealed(base64.b64decode(s["box"]))) for s in package["sealed"]]
    return {**package, "sealed": None, "secrets": secrets, "signed_by": signer.fingerprint}


def clouds_yaml(opened: Mapping[str, Any]) -> str:
    """A clouds.yaml for openstacksdk and the command-line client: one cloud for each way in."""
    head = (
        f"# {opened['tenant']}: handed over to {opened['manager']} at {opened['made_at']}. Keep it secret.\n"
    )
    return head + yaml.safe_dump({"clouds": dict(_clouds(opened))}, sort_keys=False)


def _clouds(opened: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    where, tenant = opened["cloud"], opened["tenant"]
    common = {"region_name": where["region"], "identity_api_version": 3}
    for secret in opened["secrets"]:
        kind, _, rest = secret["address"].partition("/")
        if kind == "application-credential":
            auth = {
                "auth_url": where["auth_url"],
                "application_credential_id": secret["id"],
                "application_credential_secret": secret["secret"],
            }
            yield (
                f"{tenant}-{rest.replace('/', '-')}",
                {"auth_type": "v3applicationcredential", "auth": auth, **common},
            )
            continue
        person = {
            "auth_url": where["auth_url"],
            "username": rest,
            "password": secret["password"],
            "user_domain_name": tenant,
        }
        projects = [a["project"] for a in opened["access"] if a["user"] == rest]
        for project in projects:
            scoped = {**person, "project_name": project, "project_domain_name": tenant}
            yield f"{tenant}-{project}-{rest}", {"auth": scoped, **common}
        if rest == opened["manager"]:
            yield f"{tenant}-domain-{rest}", {"auth": {**person, "domain_name": tenant}, **common}
