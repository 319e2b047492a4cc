"""Tests of the benchmarks: that they run, and judge rightly."""
