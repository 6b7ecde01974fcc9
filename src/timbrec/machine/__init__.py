"""What computes: devices, cores and memory, versions of software, and Ray clusters."""
