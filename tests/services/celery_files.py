"""Celery over files, for tests that need no server."""

# For the module of an application. Kombu creates the file of a message and then writes it: a worker that reads it in
# between ends.
WHOLE_MESSAGES = """
import os
import threading
from kombu.transport.filesystem import Channel

write = Channel._put

def put(channel, queue, payload, **options):
    channel.data_folder_out = f"{channel.data_folder_in}-{os.getpid()}-{threading.get_ident()}"
    os.makedirs(channel.data_folder_out, exist_ok=True)
    write(channel, queue, payload, **options)
    for name in os.listdir(channel.data_folder_out):
        os.rename(f"{channel.data_folder_out}/{name}", f"{channel.data_folder_in}/{name}")

Channel._put = put
"""
