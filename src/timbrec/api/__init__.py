"""The calls of a user: run a benchmark, audit it, write its report, fit the winner."""

from timbrec.api.auditing import audit, audit_all
from timbrec.api.fitting import fit_run
from timbrec.api.probing import probe, probe_vectors
from timbrec.api.reading import compare, compare_published, log_run, published_disparity, report
from timbrec.api.running import bench

__all__ = [
    "audit",
    "audit_all",
    "bench",
    "compare",
    "compare_published",
    "fit_run",
    "log_run",
    "probe",
    "probe_vectors",
    "published_disparity",
    "report",
]
