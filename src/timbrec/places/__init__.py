"""Places where files live: folders of this machine, and buckets or other stores that fsspec reaches by URL."""

from timbrec.places.cache import user_cache
from timbrec.places.copies import local
from timbrec.places.faults import reaching
from timbrec.places.kinds import place_of
from timbrec.places.locations import AnyPath, is_remote, location, matches
from timbrec.places.place import Added, Place, Rows

__all__ = [
    "Added",
    "AnyPath",
    "Place",
    "Rows",
    "is_remote",
    "local",
    "location",
    "matches",
    "place_of",
    "reaching",
    "user_cache",
]
