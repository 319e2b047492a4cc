"""A script of the project's own, which has nothing to do with health checks of any package."""

import django
from django.conf import settings

django.setup()
print("pages are in", settings.DATABASES["default"]["NAME"])
