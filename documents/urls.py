"""The pages about documents. An id may have slashes in it: other programs name their objects as they like.

Each address ends in a slash, which no id does, so that none is a JSON path: those are /documents/{id}.
"""

from django.urls import path

from documents import edit_views, list_views, pdf_views, picture_views, version_views

app_name = "documents"
urlpatterns = [
    path("", list_views.home, name="home"),
    path("new/", list_views.new, name="new"),
    path("import/", list_views.import_files, name="import"),
    path("deleted/", list_views.deleted, name="deleted"),
    path("images/", picture_views.upload, name="upload"),
    path("images/<path:path>/", picture_views.picture, name="image"),
    path("edit/<path:document_id>/", edit_views.edit, name="edit"),
    path("rename/<path:document_id>/", edit_views.rename, name="rename"),
    path("duplicate/<path:document_id>/", edit_views.duplicate, name="duplicate"),
    path("delete/<path:document_id>/", edit_views.delete, name="delete"),
    path("versions/<path:document_id>/", version_views.versions, name="versions"),
    path("restore/<path:document_id>/", version_views.restore, name="restore"),
    path("pdf/<path:document_id>/", pdf_views.make, name="pdf"),
    path("download/<path:document_id>.md/", pdf_views.download, {"kind": "source"}, name="download-source"),
    path("download/<path:document_id>.pdf/", pdf_views.download, {"kind": "pdf"}, name="download-pdf"),
    path("file/<path:document_id>/", pdf_views.download, {"kind": "file"}, name="download-file"),
]
