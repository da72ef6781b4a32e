"""The steps of ``make contract`` for teams and audits, against a site of these tests."""

from __future__ import annotations

from typing import Any

import PureCloudPlatformClientV2 as sdk  # noqa: N813

from earwitness.cli.contract import steps, steps_teams


def test_the_steps_of_teams_and_audits_pass(sqlite_site: Any) -> None:
    world = sqlite_site.world
    context = steps.Context(sdk, sqlite_site.sdk("client"), sqlite_site.sdk("admin"), {}, "", 0)
    context.kept["user"] = world.users["nobody"]
    names = [name for name, step in steps.STEPS.items() if step.__globals__ is vars(steps_teams)]
    kept = [name for name in steps.STEPS if "team" in name or "audit" in name]
    assert set(names) <= set(kept)
    for name in kept:
        steps.STEPS[name](context)
