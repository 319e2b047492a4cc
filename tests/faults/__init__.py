"""The fault matrix: every fault against every dependency, on real servers."""
