"""The app that holds the two commands, and the admin as our INSTALLED_APPS name it."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class WiringConfig(AppConfig):
    name = "config"
    default = True


class TollgateAdminConfig(admin_apps.AdminConfig):
    default = False  # named in full in INSTALLED_APPS; this module's default is the one above
