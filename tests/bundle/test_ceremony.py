"""The root ceremony: tables of roles that lock nobody out, chains that all can follow, and the sheet."""

from __future__ import annotations

import hashlib
import re
import subprocess
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle import ceremony, fingerprint_sheet
from airgap_bundle.ceremony import CannotChange, added, replaced, revoked, roles_of, with_threshold
from airgap_bundle.errors import KeyProblem
from airgap_bundle.fingerprint_sheet import read_fingerprint
from airgap_bundle.fingerprint_words import EVEN, ODD, unwords, words
from airgap_bundle.keys import PrivateKey, PublicKey
from airgap_bundle.metadata import Holders
from airgap_bundle.refusals import NotSignedByEnough
from airgap_bundle.signing import signer_for
from airgap_bundle.trust import NotARoot, TrustedRoot
from tests.bundle.zone import ANNA, BERT, CREATED, DORA, EMIL, YEAR, Zone, open_

EXPIRES = CREATED + 3 * YEAR
THREE = Holders((ANNA.public, BERT.public, DORA.public), 2)


def signed(draft: ceremony.Draft, previous: bytes | None, *by: PrivateKey) -> bytes:
    return ceremony.assemble(draft.data, [ceremony.sign(draft.data, previous, one) for one in by], previous)


FIRST = signed(ceremony.init({"root": THREE, "targets": THREE}, EXPIRES), None, ANNA, BERT)


def test_a_first_root_of_two_out_of_three() -> None:
    draft = ceremony.init({"root": THREE, "targets": THREE}, EXPIRES)
    assert (draft.version, draft.warnings) == (1, ())
    assert roles_of(FIRST) == dict.fromkeys(("root", "targets", "snapshot", "timestamp"), THREE)
    assert TrustedRoot.parse(FIRST).version == 1


def test_it_works_with_real_keys_on_separate_machines(tmp_path: Path) -> None:
    """Each holder has a folder of their own; only drafts and shares go between them."""
    for who in ("anna", "bert"):
        command = [
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            f"{who}@here",
            "-f",
            str(tmp_path / who),
        ]
        subprocess.run(command, check=True)
    both = tuple(PublicKey.read(tmp_path / f"{who}.pub") for who in ("anna", "bert"))
    draft = ceremony.init({"root": Holders(both, 2), "targets": Holders(both, 1)}, EXPIRES)
    shares = [ceremony.sign(draft.data, None, signer_for(tmp_path / who)) for who in ("anna", "bert")]
    root = TrustedRoot.parse(ceremony.assemble(draft.data, shares, None))
    assert [key.comment for key in roles_of(root.data)["root"].keys] == ["anna@here", "bert@here"]


def test_below_the_threshold_it_says_whose_share_is_missing() -> None:
    draft = ceremony.init({"root": THREE, "targets": THREE}, EXPIRES)
    with pytest.raises(
        NotSignedByEnough, match="needs 2 of the 3 keys of root version 1, and 1 signed"
    ) as refused:
        signed(draft, None, DORA)
    assert re.fullmatch(r"Still missing from: anna SHA256:\S+, bert SHA256:\S+\.", refused.value.remedy)


class TestRotation:
    def test_a_key_is_replaced_and_old_bundles_of_it_are_refused(self) -> None:
        draft = ceremony.rotate(FIRST, replaced(roles_of(FIRST), DORA.public, EMIL.public), EXPIRES)
        second = signed(draft, FIRST, ANNA, BERT)
        assert [key.comment for key in roles_of(second)["targets"].keys] == ["anna", "bert", "emil"]
        zone = Zone(chain=[FIRST, second], people=(ANNA, DORA))
        with pytest.raises(NotSignedByEnough):
            open_(zone.bundle(1), zone.first)
        zone.people = (ANNA, EMIL)
        assert open_(zone.bundle(1), zone.first).root_version == 2

    def test_a_key_is_added_and_roles_held_alike_stay_alike(self) -> None:
        table = added(roles_of(FIRST), "targets", EMIL.public)
        assert {name: len(held.keys) for name, held in table.items()} == {
            "root": 3, "targets": 4, "snapshot": 4, "timestamp": 4,
        }  # fmt: skip
        assert len(added(roles_of(FIRST), "root", EMIL.public)["targets"].keys) == 3
        assert with_threshold(table, "targets", 3)["timestamp"].threshold == 3

    def test_roles_with_holders_of_their_own_stay_apart(self) -> None:
        alone = {"root": THREE, "targets": THREE, "timestamp": Holders((EMIL.public,), 1)}
        table = roles_of(signed(ceremony.init(alone, EXPIRES), None, ANNA, BERT))
        grown = added(table, "targets", ANNA.public) if ANNA.public not in table["targets"].keys else table
        assert with_threshold(grown, "targets", 3)["timestamp"] == Holders((EMIL.public,), 1)
        assert with_threshold(grown, "targets", 3)["snapshot"].threshold == 3

    def test_a_revocation_that_locks_everybody_out_is_refused(self) -> None:
        once = signed(ceremony.revoke(FIRST, DORA.public, EXPIRES), FIRST, ANNA, BERT)
        assert len(roles_of(once)["root"].keys) == 2
        with pytest.raises(
            CannotChange, match="root would need 2 of 1 keys, which nobody could ever reach"
        ) as refused:
            ceremony.revoke(once, BERT.public, EXPIRES)
        assert "lower the threshold" in refused.value.remedy

    def test_after_a_revocation_without_a_spare_it_warns(self) -> None:
        draft = ceremony.revoke(FIRST, DORA.public, EXPIRES)
        assert [line.split(":")[0] for line in draft.warnings] == ["root", "targets"]
        assert "losing one locks all out" in draft.warnings[0]

    def test_one_key_for_everything_is_warned_of(self) -> None:
        one = Holders((ANNA.public,), 1)
        assert "one stolen key is enough" in ceremony.init({"root": one, "targets": one}, EXPIRES).warnings[0]

    def test_when_too_few_old_holders_stay_it_warns_that_who_leaves_must_sign(self) -> None:
        fresh = Holders((ANNA.public, EMIL.public), 1)
        draft = ceremony.rotate(FIRST, {"root": fresh, "targets": fresh}, EXPIRES)
        assert "who leaves has to sign this root as well" in draft.warnings[-1]
        with pytest.raises(NotSignedByEnough):
            signed(draft, FIRST, ANNA, EMIL)
        signed(draft, FIRST, ANNA, BERT, EMIL)

    def test_only_a_signed_root_is_rotated(self) -> None:
        draft = ceremony.init({"root": THREE, "targets": THREE}, EXPIRES)
        with pytest.raises(NotARoot):
            ceremony.rotate(draft.data, {"root": THREE, "targets": THREE}, EXPIRES)

    def test_changes_that_make_no_sense_are_refused(self) -> None:
        table = roles_of(FIRST)
        for wrong in (
            lambda: added(table, "targets", ANNA.public),
            lambda: added(table, "mirrors", EMIL.public),
            lambda: revoked(table, EMIL.public),
            lambda: replaced(table, EMIL.public, ANNA.public),
            lambda: replaced(table, ANNA.public, BERT.public),
            lambda: with_threshold(table, "mirrors", 1),
            lambda: ceremony.init({"root": THREE}, EXPIRES),
            lambda: ceremony.init({"root": THREE, "targets": THREE, "mirrors": THREE}, EXPIRES),
            lambda: ceremony.init({"root": THREE, "targets": Holders(THREE.keys, 4)}, EXPIRES),
            lambda: ceremony.init({"root": THREE, "targets": Holders(THREE.keys, 0)}, EXPIRES),
            lambda: ceremony.init({"root": THREE, "targets": Holders((ANNA.public,) * 2, 1)}, EXPIRES),
        ):
            with pytest.raises(CannotChange) as refused:
                wrong()
            assert refused.value.remedy


def test_it_shows_who_holds_what_and_who_has_signed() -> None:
    draft = ceremony.rotate(FIRST, replaced(roles_of(FIRST), DORA.public, EMIL.public), EXPIRES)
    shown = "\n".join(ceremony.show(draft.data, FIRST))
    assert "root, targets, snapshot, timestamp: 2 of 3" in shown
    assert f"    {EMIL.public.fingerprint}  emil" in shown
    assert "2.root.json: 2 of 3 keys of root version 1 needed, 0 given; still missing from: anna" in shown
    assert hashlib.sha256(draft.data).hexdigest() in shown


class TestTheSheet:
    def test_the_digits_are_what_sha256sum_prints(self, tmp_path: Path) -> None:
        (tmp_path / "1.root.json").write_bytes(FIRST)
        printed = subprocess.run(
            ["sha256sum", tmp_path / "1.root.json"], capture_output=True, text=True
        ).stdout
        assert "".join(fingerprint_sheet.digits(FIRST)).replace(" ", "") == printed.split()[0]

    def test_the_words_say_the_same(self) -> None:
        said = [word for line in fingerprint_sheet.spoken(FIRST) for word in line]
        assert unwords(said) == hashlib.sha256(FIRST).digest()
        sheet = fingerprint_sheet.text(FIRST)
        assert all(word in sheet for word in said)

    def test_the_text_names_every_holder(self) -> None:
        sheet = fingerprint_sheet.text(FIRST)
        for one in (ANNA, BERT, DORA):
            assert f"{one.public.fingerprint}  {one.public.comment}" in sheet
        assert "root, targets, snapshot, timestamp: 2 of these 3 keys" in sheet
        assert max(map(len, sheet.splitlines())) <= 80

    def test_the_page_loads_nothing_and_has_the_code(self) -> None:
        page = fingerprint_sheet.page(FIRST)
        assert fingerprint_sheet.code(FIRST) in page
        assert "<svg" in page
        assert not re.search(r"(src|href)=|url\(|@import|<script", page)
        HTMLParser().feed(page)

    def test_an_owners_name_cannot_be_markup(self) -> None:
        hostile = PublicKey(ANNA.public.raw, "<script>alert(1)</script>")
        held = Holders((hostile,), 1)
        root = ceremony.init({"root": held, "targets": held}, EXPIRES).data
        assert "<script" not in fingerprint_sheet.page(root)
        assert "&lt;script&gt;" in fingerprint_sheet.page(root)

    def test_each_list_has_256_words_and_none_is_in_both(self) -> None:
        assert len(EVEN) == len(ODD) == 256
        assert len({*EVEN, *ODD}) == 512
        assert all(re.fullmatch("[a-z]{3,10}", word) for word in (*EVEN, *ODD))

    def test_the_lists_never_change(self) -> None:
        """Sheets are kept for years: another word for a byte would make each of them wrong."""
        assert hashlib.sha256(" ".join((*EVEN, *ODD)).encode()).hexdigest() == (
            "554bbdb8681fc16d04a6e7bf3eca0ab06541eb49da590da4596d33174dd47aae"
        )

    @given(st.binary(min_size=2, max_size=32), st.data())
    def test_a_swap_or_a_word_left_out_is_noticed(self, data: bytes, drawn: st.DataObject) -> None:
        said = words(data)
        assert unwords(said) == data
        at = drawn.draw(st.integers(0, len(said) - 2))
        swapped = [*said[:at], said[at + 1], said[at], *said[at + 2 :]]
        with pytest.raises(ValueError, match="not in"):
            unwords(swapped)
        if at < len(said) - 2:
            with pytest.raises(ValueError, match="not in"):
                unwords(said[:at] + said[at + 1 :])

    @pytest.mark.parametrize("form", ["digits", "groups", "upper", "code", "words", "lines"])
    def test_what_a_person_types_is_read_in_any_form(self, form: str) -> None:
        digest = hashlib.sha256(FIRST).hexdigest()
        typed = {
            "digits": digest,
            "groups": "\n".join(fingerprint_sheet.digits(FIRST)),
            "upper": digest.upper(),
            "code": fingerprint_sheet.code(FIRST),
            "words": " ".join(word for line in fingerprint_sheet.spoken(FIRST) for word in line).upper(),
            "lines": "\n".join("  ".join(line) for line in fingerprint_sheet.spoken(FIRST)),
        }[form]
        assert read_fingerprint(f"  {typed}\n") == digest

    @pytest.mark.parametrize(
        "typed", ["", "ab" * 31, "ab" * 33, "zz" * 32, "acorn ant", "acorn " * 32, "SHA256:"]
    )
    def test_what_is_no_fingerprint_is_refused(self, typed: str) -> None:
        with pytest.raises(ValueError, match="neither 64 digits nor 32 words"):
            read_fingerprint(typed)


def test_a_root_may_not_be_given_a_private_key() -> None:
    with pytest.raises(KeyProblem):
        PublicKey.parse(ANNA.to_openssh().decode())


def test_expiry_is_written_to_the_second() -> None:
    root = ceremony.init({"root": THREE, "targets": THREE}, EXPIRES + timedelta(microseconds=5)).data
    assert ceremony.describe(root)["expires"] == EXPIRES.strftime("%Y-%m-%dT%H:%M:%SZ")
