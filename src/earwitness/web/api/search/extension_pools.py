"""Extensions in use, as ranges. Extensions are given to stations one by one, so ranges are found, not made."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import Query

from earwitness.store import telephony
from earwitness.web.kernel.callers import Signed
from earwitness.web.kernel.documents import Document
from earwitness.web.kernel.operations import Family, all_of
from earwitness.web.kernel.paging import Listing, Paging
from earwitness.web.kernel.services import Parts

family = Family("Numbers")
PATH = "/api/v2/telephony/providers/edges/extensionpools"


class ExtensionPool(Document):
    """Extensions without a gap, all of them in use."""

    id: str
    name: str
    state: str
    start_number: str
    end_number: str
    self_uri: str


@family.operation(
    "GET",
    PATH,
    "get_telephony_providers_edges_extensionpools",
    all_of("telephony:extensionPool:view"),
    returns=Listing[ExtensionPool],
)
def listing(
    caller: Signed, parts: Parts, page: Paging, number: Annotated[str | None, Query(pattern="^[0-9]*$")] = None
) -> Listing[ExtensionPool]:
    """Ranges of extensions in use, ascending; ``number`` keeps the one that holds it."""
    with parts.database.reading() as session:
        used = [row.extension for row in telephony.stations(session, size=100_000).items if row.extension.isdigit()]
    pools: list[ExtensionPool] = []
    runs: list[list[str]] = []
    for extension in sorted(set(used), key=lambda text: (len(text), text)):
        last = runs[-1][-1] if runs else ""
        if last and len(last) == len(extension) and int(last) + 1 == int(extension):
            runs[-1].append(extension)
        else:
            runs.append([extension])
    for run in runs:
        start, end = run[0], run[-1]
        if number and not (len(number) == len(start) and start <= number <= end):
            continue
        key = str(uuid.uuid5(uuid.NAMESPACE_URL, f"earwitness:extensions:{start}-{end}"))
        name = start if start == end else f"{start} - {end}"
        pools.append(
            ExtensionPool(
                id=key, name=name, state="active", start_number=start, end_number=end, self_uri=f"{PATH}/{key}"
            )
        )
    return page.envelope(page.cut(pools), len(pools))
