"""The task queues of Django projects: a module for each preset."""
