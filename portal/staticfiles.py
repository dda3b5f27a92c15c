"""Static files as they are deployed: compressed, and named by the hash of their content."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Rewrites what JavaScript modules import, too: without it they would import names that may be cached for ever."""

    support_js_module_import_aggregation = True
