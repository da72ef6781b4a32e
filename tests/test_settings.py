from __future__ import annotations

from pathlib import Path

import pytest

from earwitness.settings import SettingsError, load, variables


def test_options_beat_variables_beat_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "earwitness.toml"
    file.write_text("sip_port = 1\nweb_port = 2\nmedia_tick_ms = 20\n")
    monkeypatch.setenv("EARWITNESS_WEB_PORT", "3")
    monkeypatch.setenv("EARWITNESS_MEDIA_TICK_MS", "15")
    settings = load(config=file, media_tick_ms=5)
    assert (settings.sip_port, settings.web_port, settings.media_tick_ms) == (1, 3, 5)


def test_a_child_process_gets_the_very_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(data=tmp_path, sip_port=0, log_format="json")
    for name, value in variables(settings).items():
        monkeypatch.setenv(name, value)
    assert load() == settings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sip_prot = 5060", "sip_prot"),
        ("sip_port = 70000", "sip_port"),
        ("sip_port = 'many'", "sip_port"),
        ("sip_port = ", "cannot be read"),
        ("rtp_port_min = 3000\nrtp_port_max = 2000", "rtp_port_min must be below rtp_port_max"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "earwitness.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=message):
        load(config=file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        load(config=tmp_path / "none.toml")


def test_everything_is_in_the_data_folder_by_default(tmp_path: Path) -> None:
    settings = load(data=tmp_path)
    assert settings.database == f"sqlite:///{tmp_path}/earwitness.db"
    assert settings.vault == (tmp_path / "vault").as_uri()
    for folder in (settings.spool, settings.keys, settings.run):
        assert folder.parent == tmp_path


def test_trusted_proxies_are_addresses_and_networks():
    assert load(trusted_proxies=" 127.0.0.1, fd00::/8").trusted_proxies == "127.0.0.1/32,fd00::/8"
    for wrong in ("*", "proxy.example", "10.0.0.1/8"):
        with pytest.raises(SettingsError, match="trusted_proxies"):
            load(trusted_proxies=wrong)
