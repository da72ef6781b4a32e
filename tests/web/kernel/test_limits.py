"""Rate limits, the brake on guessing, signed addresses: pure, with time as an argument."""

from __future__ import annotations

import stat
from urllib.parse import parse_qsl, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from earwitness.store.secret_box import KeyFileBox, SealedError
from earwitness.web.kernel.passwords import hash_password, new_token, verify_password
from earwitness.web.kernel.signing import KEY_FILE, UrlSigner, load_key
from earwitness.web.kernel.throttle import GuessBrake, RateLimit


def test_a_window_ends():
    limit = RateLimit(2)
    assert [limit.take("a", 100.0 + n).exceeded for n in range(3)] == [False, False, True]
    assert not limit.take("b", 101).exceeded
    assert limit.look("a", 103).reset_s == 7
    assert not limit.take("a", 110.0).exceeded


def test_guessing_slows_down_and_is_forgotten():
    brake, now, waits = GuessBrake(), 1000.0, []
    for _ in range(9):
        now += brake.wait_s("ann", "192.0.2.1", now)
        brake.failed("ann", "192.0.2.1", now)
        waits.append(brake.wait_s("ann", "192.0.2.1", now))
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16]
    assert brake.wait_s("ann", "192.0.2.2", now) == 0
    assert brake.wait_s("bob", "192.0.2.1", now) == 0
    brake.succeeded("ann", "192.0.2.1")
    assert brake.wait_s("ann", "192.0.2.1", now) == 0


def test_one_address_with_many_names():
    brake = GuessBrake()
    for n in range(GuessBrake.FREE_PER_ADDRESS):
        brake.failed(f"name{n}", "192.0.2.1", 5.0)
    assert brake.wait_s("another", "192.0.2.1", 5.0) > 0
    assert brake.wait_s("another", "192.0.2.1", 5.0 + GuessBrake.FORGET_S) == 0


@given(st.sampled_from(["path", "expires", "subject", "signature"]), st.text(min_size=1, max_size=5))
def test_g9_any_change_of_an_address_breaks_it(part, change):
    signer = UrlSigner(b"k" * 32)
    signed = urlsplit(signer.signed("/media/1/0.webm", "user:u", 2000))
    path, query = signed.path, dict(parse_qsl(signed.query))
    assert signer.subject(path, query, 1999.9) == "user:u"
    assert signer.subject(path, query, 2000) is None
    assert UrlSigner(b"x" * 32).subject(path, query, 0) is None
    if part == "path":
        path += change
    else:
        query[part] += change
    assert signer.subject(path, query, 0) is None


def test_keys_are_private_and_stay(tmp_path):
    first = load_key(tmp_path / "keys")
    assert load_key(tmp_path / "keys") == first
    assert stat.S_IMODE((tmp_path / "keys" / KEY_FILE).stat().st_mode) == 0o600
    box = KeyFileBox.open(tmp_path / "keys")
    sealed = box.encrypt(b"hush", b"here")
    assert KeyFileBox.open(tmp_path / "keys").decrypt(sealed, b"here") == b"hush"
    for wrong in ((sealed, b"there"), (sealed[:-1], b"here"), (b"", b"here")):
        try:
            box.decrypt(*wrong)
        except SealedError:
            continue
        raise AssertionError("opened")


def test_passwords():
    stored = hash_password("right")
    assert stored.startswith("$argon2id$")
    assert verify_password(stored, "right")
    assert not verify_password(stored, "wrong")
    assert not verify_password(None, "right")
    assert not verify_password("no hash", "right")
    assert len(new_token()) >= 43
    assert new_token() != new_token()
