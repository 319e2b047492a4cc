"""The presets of task queues against the real packages, oldest and newest, with real workers."""
