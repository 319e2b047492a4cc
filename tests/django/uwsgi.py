"""`python -m tests.django.uwsgi` is the command `uwsgi`."""

from pyuwsgi import run

if __name__ == "__main__":
    run()
