"""Make the table."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []  # noqa: RUF012
    operations = [  # noqa: RUF012
        migrations.CreateModel(
            "Note", [("id", models.BigAutoField(primary_key=True, serialize=False)), ("text", models.TextField())]
        )
    ]
