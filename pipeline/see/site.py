"""What all routes share: the indexes, what may be opened, and the children that decode."""

from dataclasses import dataclass, field

from pipeline.see.indexes import Indexes
from pipeline.see.isolation import Children
from pipeline.see.recordings import Probed
from pipeline.storage.access import Access


@dataclass(frozen=True, slots=True)
class Site:
    """One server."""

    indexes: Indexes
    access: Access
    children: Children
    zone: str
    read_only: bool
    probed: Probed = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "probed", Probed(self.children, self.access))
