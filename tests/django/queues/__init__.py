"""Task queues of real packages: their newest and oldest supported releases, with worker processes."""
