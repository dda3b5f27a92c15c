from django.apps import AppConfig


class StreamingConfig(AppConfig):
    name = "portal.streaming"
    label = "streaming"
    verbose_name = "Streaming apps"
