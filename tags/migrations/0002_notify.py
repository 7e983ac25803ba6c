"""Workers hear of each change to a tag."""

from django.db import migrations

from spend.sql import notify_changes


class Migration(migrations.Migration):
    dependencies = [("tags", "0001_tags")]

    operations = [notify_changes("tags_tag", "id"), notify_changes("tags_tagdraw", "tag_id")]
