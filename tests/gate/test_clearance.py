"""The signer: what it signs verifies under its key and no other, and it does not give its keys away."""

import copy
import pickle

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.gate.world import NOW, a_view, verdict_of

from interlock.errors import InvariantBroken, NotCleared
from interlock.gate.clearance import LIFE, Signer
from interlock.model.clearance import Clearance, Content, Epochs, encode, verify
from interlock.model.order import Profile

EPOCHS = Epochs(kill=1, lease=2, config=3)


def issued(signer, order=None, profile=Profile.ENTER, **changes):
    return signer.issue(**{"order": order or verdict_of(a_view()).result.order, "profile": profile, "attempt": 1,
                           "cause_seq": 7, "cause_hash": b"h" * 32, "epochs": EPOCHS, "state_id": "state", "now": NOW,
                           **changes})


def test_what_was_signed_verifies_and_lives_two_seconds():
    signer = Signer()

    clearance = issued(signer)

    verify(clearance, signer.public_keys())
    assert (clearance.content.issued, clearance.content.expires) == (NOW, NOW + LIFE)
    assert LIFE == 2_000_000_000


def alterations(content):
    """The content with each field, and each field of each leg, changed."""
    for name in content.__struct_fields__:
        value = getattr(content, name)
        if name == "legs":
            for n, leg in enumerate(value):
                for m, part in enumerate(leg):
                    other = (not part) if isinstance(part, bool) else part + "1"
                    changed = (*leg[:m], other, *leg[m + 1:])
                    yield f"leg {n} field {m}", (*value[:n], changed, *value[n + 1:]), name
        elif name == "epochs":
            for epoch in value.__struct_fields__:
                yield epoch, msgspec.structs.replace(value, **{epoch: getattr(value, epoch) + 1}), name
        elif name == "profile":
            yield name, "flatten", name
        else:
            yield name, value + (b"x" if isinstance(value, bytes) else "x" if isinstance(value, str) else 1), name


def test_every_altered_field_breaks_the_signature():
    signer = Signer()
    clearance = issued(signer)
    seen = 0

    for what, value, name in alterations(clearance.content):
        altered = Clearance(msgspec.structs.replace(clearance.content, **{name: value}), clearance.signature)
        with pytest.raises(NotCleared, match="does not fit"):
            verify(altered, signer.public_keys())
        seen += 1
        assert what
    assert seen == 3 * 10 + 3 + len(Content.__struct_fields__) - 2


@pytest.mark.parametrize("profile", [Profile.PROTECT, Profile.REDUCE, Profile.FLATTEN])
def test_a_profile_does_not_sign_for_another(profile):
    with pytest.raises(InvariantBroken):
        issued(Signer(), profile=profile)


def test_the_keys_of_profiles_and_of_signers_differ():
    first, second = Signer(), Signer()

    assert len({*first.public_hex().values(), *second.public_hex().values()}) == 8
    with pytest.raises(NotCleared):
        verify(issued(first), second.public_keys())


def test_an_unknown_profile_is_not_signed():
    signer = Signer()
    content = msgspec.structs.replace(issued(signer).content, profile="open sesame")

    with pytest.raises(InvariantBroken):
        signer.sign(content)


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_signer_cannot_be_copied_or_stored(take):
    with pytest.raises(TypeError):
        take(Signer())


def test_a_signer_cannot_be_reduced_by_hand():
    with pytest.raises(TypeError):
        Signer().__reduce__()


@pytest.mark.parametrize(("replaces", "signed"), [(None, ""), ("x" * 18, "x" * 18)])
def test_what_an_order_replaces_is_signed(replaces, signed):
    order = msgspec.structs.replace(verdict_of(a_view()).result.order, replaces=replaces)

    assert issued(Signer(), order).content.replaces == signed


def test_a_signer_shows_no_key():
    signer = Signer()

    assert repr(signer) == str(signer) == "<Signer>"
    assert not hasattr(signer, "__dict__")
    reachable = [*signer.public_keys().values(), *signer.public_hex().values()]
    assert not any(isinstance(value, Ed25519PrivateKey) for value in reachable)


def test_the_bytes_that_are_signed_do_not_depend_on_the_process():
    content = issued(Signer()).content

    assert encode(content) == encode(msgspec.msgpack.decode(encode(content), type=Content))
