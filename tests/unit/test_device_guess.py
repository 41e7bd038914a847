"""What is said of JAX's devices without loading JAX."""

from __future__ import annotations

import sys

import pytest

from qspec.support import devices


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JAX_PLATFORMS", "XLA_FLAGS", "JAX_NUM_CPU_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "jax", raising=False)
    monkeypatch.setattr(devices, "_plugins", lambda: False)


def test_nothing_installed_and_nothing_asked_is_one_cpu() -> None:
    assert devices.one_cpu()


@pytest.mark.parametrize(
    ("name", "value"),
    [("JAX_PLATFORMS", "cuda"), ("XLA_FLAGS", "--xla_force_host_platform_device_count=8"), ("JAX_NUM_CPU_DEVICES", "2")],
)
def test_what_is_asked_for_may_be_there(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert not devices.one_cpu()


def test_a_plugin_may_have_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_plugins", lambda: True)
    assert not devices.one_cpu()


def test_a_loaded_jax_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jax", devices)
    assert not devices.one_cpu()
