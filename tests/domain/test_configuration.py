import json

from earwitness.domain.configuration import CallRoute, DigestCredentials, Snapshot, Station, Trunk, User
from earwitness.domain.recording.settings import TrunkRecording


def test_a_snapshot_survives_its_document() -> None:
    snapshot = Snapshot(
        7,
        "o1",
        trunks=(
            Trunk(
                "t", "b", "carrier", True, ("10.0.0.1:5060",), "udp", ("10.0.0.0/8",), (), DigestCredentials("u", "p"),
                ("^\\+",), recording=TrunkRecording(enabled=True, dual_channel=True),
            ),
        ),
        stations=(
            Station("s", "Desk", "desk1", "u1", "101", True, "aa", "bb"),
            Station("r", "Records", "desk2", recording=TrunkRecording(enabled=True, consent_required=True)),
        ),
        users=(User("u1", "Ada", "+49301"),),
        call_routes=(CallRoute("r", "main", ("+49302",), "user", "u1"),),
    )  # fmt: skip
    assert Snapshot.from_document(json.loads(json.dumps(snapshot.to_document()))) == snapshot
    assert "'p'" not in repr(snapshot)
