"""The runs of the rules in the admin: by month, each with its progress and its report, and how one is started, ended
and undone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.cache import patch_vary_headers
from django.utils.html import format_html
from django.utils.text import compress_sequence
from django.views.decorators.http import require_GET, require_http_methods

from policies import act_words, compliance, engine, report_table, stored, undo
from policies.forms import RunForm
from policies.models import PolicyRun, TagPolicy
from policies.previews import changed_since, draft_url
from policies.progress_words import KINDS, outcomes_of, progress, url_of
from policies.report_table import WITHOUT_TAGS, BadPlace, Place
from policies.runs import Kind, Run, State, runs, whole_runs
from portal.dynamo import audit, records
from portal.dynamo.records import Listing, RecordAdmin
from portal.dynamo.table import Conflict
from portal.dynamo.values import from_item, to_item

# How many runs the charts go back: some three weeks of hourly ones.
HISTORY = 500


def may_run(request: HttpRequest) -> bool:
    """Tell whether whoever asks may preview, run, cancel and undo: they may change rules and see what comes of it."""
    return request.user.has_perms(["policies.change_tagpolicy", "policies.view_policyrun"])


@admin.register(PolicyRun)
class PolicyRunAdmin(RecordAdmin[Run]):
    table = runs
    month_index = "ByMonth"
    columns = ["started_at", "kind", "state", "by", "read", "changed", "failed"]
    facts = [
        "kind_and_why", "by", "scope", "caps", "read", "matched", "to_change", "changed", "unsure", "failed", "gone",
        "acts",
    ]  # fmt: skip
    search_help = "A run’s id, such as 20261127T112000Z-1f3a9c0b."
    list_template = "admin/policies/policyrun/list.html"
    record_template = "admin/policies/policyrun/record.html"

    def find(self, key: str) -> Run | None:
        return runs.find(key)

    def key(self, record: Run) -> str:
        return record.run_id

    def search(self, request: HttpRequest, text: str) -> Listing[Run] | Run | None:
        return runs.find(text)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"may_run": may_run(request), **(extra_context or {})})

    def get_urls(self) -> list[Any]:
        def at(address: str, name: str, view: Any) -> Any:
            return path(address, self.admin_site.admin_view(view), name=f"policies_policyrun_{name}")

        return [
            at("start/", "start", require_http_methods(["GET", "POST"])(self.start_view)),
            at("compliance/", "compliance", require_GET(self.compliance_view)),
            at("<path:object_id>/progress/", "progress", require_GET(self.progress_view)),
            at("<path:object_id>/report.csv", "csv", require_GET(self.csv_view)),
            at("<path:object_id>/cancel/", "cancel", require_http_methods(["GET", "POST"])(self.cancel_view)),
            at("<path:object_id>/undo/", "undo", require_http_methods(["GET", "POST"])(self.undo_view)),
            *super().get_urls(),
        ]

    # --- A run's page ---

    def shown_besides(self, request: HttpRequest, record: Run) -> dict[str, Any]:
        outcome = request.GET.get("outcome", "")
        try:
            start = Place.read(request.GET.get("from", "0.0"))
        except BadPlace as error:
            raise Http404 from error
        found, following = report_table.page(record, start, outcome=outcome) if record.is_over else ([], None)
        return {
            **progress(record, now=datetime.now(UTC)),
            "title": f"{KINDS[record.kind]} of {record.started_at:%d %B %Y, %H:%M} UTC",
            "kind": KINDS[record.kind],
            "would_be": act_words.would_be(record) if record.kind is Kind.PREVIEW else "",
            "ends": act_words.ends_planned(record),
            "without_tags": WITHOUT_TAGS,
            "facts": [(self._title(name), self._cell(record, name)) for name in self._facts_of(record)],
            "findings": found,
            "outcome": outcome,
            "outcomes": outcomes_of(record),
            "is_first": start == Place(),
            "following": str(following or ""),
            "tags": report_table.tags_in_order(record),
            "rules": [TagPolicy.from_item(to_item(one)) for one in record.rules],
            "draft_url": draft_url(request, record),
            "may_run": may_run(request),
            "may_undo": may_run(request) and record.may_be_undone,
        }

    def _facts_of(self, run: Run) -> list[str]:
        left_out = {"caps", "changed", "failed", "gone"} if run.kind is Kind.PREVIEW else set()
        if not (run.acts or run.planned_acts):
            left_out.add("acts")
        if not run.unsure:
            left_out.add("unsure")
        return [name for name in self.facts if name not in left_out]

    def progress_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Renew the progress of a run's page; when the run is over, the whole page."""
        run = self._get(request, object_id)
        context = {**progress(run, now=datetime.now(UTC)), "is_renewal": True}
        # What is said aloud is said when it changes, and not each second.
        context["is_news"] = request.GET.get("state") != run.state.name
        response = TemplateResponse(request, "admin/policies/policyrun/progress.html", context)
        if run.is_over:
            response["HX-Refresh"] = "true"
        return response

    def csv_view(self, request: HttpRequest, object_id: str) -> StreamingHttpResponse:
        run = self._get(request, object_id)
        lines = (line.encode() for line in report_table.as_csv(run))
        # Lambda's answers have at most 6 MB, which the report of some thousand instances is beyond; a tenth is left.
        is_gzipped = "gzip" in request.headers.get("Accept-Encoding", "")
        response = StreamingHttpResponse(
            compress_sequence(lines) if is_gzipped else lines, content_type="text/csv; charset=utf-8"
        )
        if is_gzipped:
            response["Content-Encoding"] = "gzip"
        patch_vary_headers(response, ["Accept-Encoding"])
        response["Content-Disposition"] = f'attachment; filename="tag-policies-{run.run_id}.csv"'
        return response

    # --- Starting, ending, undoing ---

    def start_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for the cap, and start a run of all rules, or of exactly those that a preview was of."""
        if not may_run(request):
            raise PermissionDenied
        preview = self._preview(request)
        changed = changed_since(preview) if preview else []
        every = TagPolicy.stored()
        to_run, skipped = _to_be_run(preview, every), _malformed(preview, every)
        initial: dict[str, Any] = {}
        if preview:
            initial = {"most_changes": preview.to_change, "most_percent": None, "vpc_ids": preview.vpc_ids}
        to_understand = act_words.to_understand(preview, to_run)
        typed = request.POST if request.method == "POST" else None
        form = RunForm(typed, initial=initial, to_understand=to_understand)
        if request.method == "POST" and form.is_valid() and to_run and not changed:
            run = engine.start(
                Kind.ENFORCE,
                by=_actor(request),
                now=datetime.now(UTC),
                rules=preview.rules if preview and preview.is_partial else None,
                most_ended=act_words.ends_planned(preview) if preview else None,
                **_asked(form, preview),
            )
            return HttpResponseRedirect(url_of(run.run_id))
        context = {
            **self._context(request, "Run now"),
            "form": form,
            "preview": preview,
            "preview_url": url_of(preview.run_id) if preview else "",
            "would_be": act_words.would_be(preview) if preview else "",
            "stern": act_words.stern(to_run),
            "to_understand": to_understand,
            "changed": changed,
            "rules": to_run,
            "skipped": skipped,
        }
        return TemplateResponse(request, "admin/policies/policyrun/start.html", context)

    def cancel_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if not may_run(request):
            raise PermissionDenied
        run = self._get(request, object_id)
        if request.method == "GET":  # whoever had to sign in first comes back like this
            return HttpResponseRedirect(url_of(run.run_id))
        if run.is_over:
            self.message_user(request, "This run was over already.", messages.WARNING)
        else:
            engine.cancel(run.run_id, by=_actor(request))
            self.message_user(request, "The run stops before its next step. What it has changed until then stays.")
        return HttpResponseRedirect(url_of(run.run_id))

    def undo_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask whether a run is to be undone, and whether what would do the same again is to be switched off."""
        if not may_run(request):
            raise PermissionDenied
        run = self._get(request, object_id)
        if not run.may_be_undone:
            return self._nothing_to_undo(request, run)
        rules = undo.would_repeat(run)
        if request.method == "POST":
            try:
                undoing = undo.start(run, by=_actor(request), now=datetime.now(UTC))
            except undo.NothingToUndo:
                return self._nothing_to_undo(request, run)
            try:
                undo.switch_off(rules if "switch_off" in request.POST else [], by=_actor(request))
            except Conflict:
                said = "Someone changed one of the rules at this moment: look whether all of them are switched off."
                self.message_user(request, said, messages.WARNING)
            return HttpResponseRedirect(url_of(undoing.run_id))
        context = {
            **self._context(request, "Undo this run?"),
            "run": run,
            "run_url": url_of(run.run_id),
            "still_enabled": rules,
        }
        return TemplateResponse(request, "admin/policies/policyrun/undo.html", context)

    def _nothing_to_undo(self, request: HttpRequest, run: Run) -> HttpResponse:
        self.message_user(request, "There is nothing in this run that can be undone.", messages.WARNING)
        return HttpResponseRedirect(url_of(run.run_id))

    def compliance_view(self, request: HttpRequest) -> HttpResponse:
        """Show how many instances have the tags that the rules ask for, over time and by tag."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = compliance.points(whole_runs(HISTORY))
        context = {
            **self._context(request, "Compliance"),
            "points": found[::-1],
            "rows": compliance.by_tag(found),
            "chart": compliance.chart(found),
            "has_capped": any(one.is_capped for one in found),
            "may_run": may_run(request),
        }
        return TemplateResponse(request, "admin/policies/policyrun/compliance.html", context)

    def _get(self, request: HttpRequest, object_id: str) -> Run:
        if not self.has_view_permission(request):
            raise PermissionDenied
        key = unquote(object_id)
        run = self.find(key) if len(key) <= records.LONGEST else None
        if run is None:
            raise Http404("There is no such run.")
        return run

    def _preview(self, request: HttpRequest) -> Run | None:
        key = request.GET.get("preview", "")
        if not key:
            return None
        run = self.find(key) if len(key) <= records.LONGEST else None
        if run is None or run.kind is not Kind.PREVIEW:
            raise Http404("There is no such preview.")
        return run

    def _context(self, request: HttpRequest, title: str) -> dict[str, Any]:
        return {**self.admin_site.each_context(request), "title": title, "opts": self.opts, "media": self.media}

    # --- What is shown ---

    @admin.display(description="started")
    def started_at(self, run: Run) -> datetime:
        return run.started_at

    def kind(self, run: Run) -> str:
        return KINDS[run.kind]

    @admin.display(description="what")
    def kind_and_why(self, run: Run) -> str:
        if run.kind is Kind.UNDO:
            return format_html('Undoing of <a href="{}">another run</a>', url_of(run.undoes))
        if run.kind is Kind.PREVIEW:
            return "Preview: nothing is written"
        return KINDS[run.kind]

    def state(self, run: Run) -> str:
        if run.state is State.DONE:
            return "finished"
        style = "warm" if run.is_over else "good"
        return format_html('<span class="tag {}">{}</span>', style, run.state)

    @admin.display(description="who")
    def by(self, run: Run) -> str:
        return run.by_name or ("a launch of instances" if run.kind is Kind.LAUNCH else "the schedule")

    @admin.display(description="where")
    def scope(self, run: Run) -> str:
        return f"only in {', '.join(run.vpc_ids)}" if run.vpc_ids else "every VPC that the rules are for"

    @admin.display(description="cap")
    def caps(self, run: Run) -> str:
        parts = []
        if run.most_changes is not None:
            parts.append(f"{run.most_changes:,} instances")
        if run.most_percent is not None:
            parts.append(f"{run.most_percent} %")
        if run.most_ended is not None:
            parts.append(f"{run.most_ended:,} stopped or terminated")
        return f"at most {' or '.join(parts)}" if parts else "none"

    @admin.display(description="instances")
    def read(self, run: Run) -> str:
        return f"{run.read:,}"

    @admin.display(description="matched by a rule")
    def matched(self, run: Run) -> str:
        return f"{run.matched:,}"

    @admin.display(description="to change")
    def to_change(self, run: Run) -> str:
        return f"{run.to_change:,}"

    def changed(self, run: Run) -> str:
        return "" if run.kind is Kind.PREVIEW else f"{run.changed:,}"

    def failed(self, run: Run) -> str:
        if run.failed:
            return format_html('<span class="tag warm">{}</span>', f"{run.failed:,}")
        return "" if run.kind is Kind.PREVIEW else "0"

    @admin.display(description="vanished meanwhile")
    def gone(self, run: Run) -> str:
        return "" if run.kind is Kind.PREVIEW else f"{run.gone:,}"

    @admin.display(description="perhaps changed")
    def unsure(self, run: Run) -> str:
        return format_html('<span class="tag warm">{}</span>', f"{run.unsure:,}")

    @admin.display(description="without any tags")
    def acts(self, run: Run) -> str:
        return act_words.summary(run)


def _to_be_run(preview: Run | None, every: list[TagPolicy]) -> list[TagPolicy]:
    if preview and preview.is_partial:
        return [TagPolicy.from_item(to_item(one)) for one in preview.rules]
    return [one for one in every if one.enabled and not one.problems()]


def _malformed(preview: Run | None, every: list[TagPolicy]) -> Sequence[str]:
    if preview and preview.is_partial:
        return preview.malformed
    return stored.malformed(from_item(one.item) for one in every)


def _asked(form: RunForm, preview: Run | None) -> dict[str, Any]:
    """Return the caps and VPCs that were asked for: of what a preview was of, no more."""
    asked = {name: value for name, value in form.cleaned_data.items() if name != "sure"}
    if preview and preview.vpc_ids:
        asked["vpc_ids"] = sorted(set(asked["vpc_ids"]) & set(preview.vpc_ids)) or preview.vpc_ids
    return asked


def _actor(request: HttpRequest) -> audit.Actor:
    return cast(audit.Actor, request.user)
