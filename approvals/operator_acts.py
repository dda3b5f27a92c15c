"""What operators do to an approval in the admin. Each act asks first where it matters, is written down before it is
done, and does nothing where the page that it was pressed on is older than what it is about."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path
from django.views.decorators.http import require_http_methods

from approvals import assignment, deciding, delegating, mailing, operator_words, people, queue
from approvals.approval import Approval, approvals, audit_name, entry
from approvals.operator_forms import CancelForm, ReassignForm
from portal import aws
from portal.accounts.models import User
from portal.dynamo import audit
from portal.dynamo.records import RecordAdmin
from portal.dynamo.values import instant

RESENT = "had the mails sent again"  # as approvals.mailing writes it into the audit log
_MOMENT = re.compile(r"[0-9T:.-]{20,30}Z")


class ApprovalActs(RecordAdmin[Approval]):
    table = approvals

    def find(self, key: str) -> Approval | None:
        return deciding.find(key)

    def key(self, record: Approval) -> str:
        return record.approval_id

    def may_act(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("approvals.change_approval"))

    def get_urls(self) -> list[Any]:
        def at(address: str, name: str, view: Callable[..., HttpResponse]) -> Any:
            asked = self.admin_site.admin_view(require_http_methods(["GET", "POST"])(view))
            return path(f"<path:object_id>/{address}/", asked, name=f"approvals_approval_{name}")

        return [
            at("resend", "resend", self.resend_view),
            at("reassign", "reassign", self.reassign_view),
            at("cancel", "cancel", self.cancel_view),
            at("pass-on", "pass_on", self.pass_on_view),
            at("set-aside", "set_aside", self.set_aside_view),
            *super().get_urls(),
        ]

    def resend_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Send everybody who is asked a new mail, unless mails went out since the page was shown."""
        approval = self._acted_on(request, object_id)
        if request.method == "GET":  # whoever had to sign in first comes back like this
            return self._back(approval)
        if not approval.is_open:
            return self._back(approval, request, "It is not open any more, so nobody is asked.")
        if _are_resent_since(request.POST.get("shown_at", ""), approval):
            return self._back(approval, request, "The mails were sent again already. Look whether they have arrived.")

        def resend() -> str:
            count = mailing.resend(approval.approval_id, by=user_of(request), now=datetime.now(UTC))
            if not count:
                return "There is nobody to mail."
            return f"{count} mail{' is' if count == 1 else 's are'} on the way."

        self._do(request, resend)
        return self._back(approval)

    def reassign_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask who is to answer, and instead of whom."""
        approval = self._acted_on(request, object_id)
        if not approval.is_open:
            return self._back(approval, request, "It is not open any more, so nobody is asked.")
        asked = [one for one in assignment.of(approval.approval_id) if one.may_decide]
        form = ReassignForm(
            request.POST if request.method == "POST" else None, asked=asked, initial={"round": approval.round}
        )
        if form.is_valid():
            if form.cleaned_data["round"] != approval.round:
                return self._back(approval, request, "The workflow has asked anew meanwhile. Look again who is asked.")
            person = form.cleaned_data["to"]

            def reassign() -> str:
                delegating.reassign(
                    approval.approval_id,
                    person,
                    instead_of=form.cleaned_data["instead_of"],
                    by=user_of(request),
                    now=datetime.now(UTC),
                )
                return f"{people.called(person)} is asked, and gets a mail."

            if self._do(request, reassign, form):
                return self._back(approval)
        says = ["Who is asked in place of another answers from now on, and the other does not any more."]
        if approval.groups:
            says.append(f"Members of {' and '.join(approval.groups)} may answer as well, whoever is asked.")
        return self._ask(request, approval, form, "Reassign", says, "Reassign it")

    def cancel_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask for a reason, and end an approval: its workflow's task fails with the error Cancelled."""
        approval = self._acted_on(request, object_id)
        if not operator_words.may_cancel(approval):
            return self._back(approval, request, "It is over already. Nothing was changed.")
        form = CancelForm(request.POST if request.method == "POST" else None, initial={"round": approval.round})
        if form.is_valid():
            if form.cleaned_data["round"] != approval.round:
                return self._back(approval, request, "The workflow has asked anew meanwhile. Look again.")

            def cancel() -> str:
                reason = form.cleaned_data["reason"]
                deciding.cancel(approval.approval_id, reason=reason, by=user_of(request), now=datetime.now(UTC))
                return "It is cancelled. The workflow hears of it within seconds."

            self._do(request, cancel)
            return self._back(approval)
        says = [
            "Nobody can answer it any more. The workflow’s task fails with the error Cancelled, which it may catch.",
            "Who asked for it gets a mail.",
        ]
        return self._ask(request, approval, form, "Cancel", says, "Yes, cancel it", is_danger=True)

    def pass_on_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Have the workflow told of its answer once more. A message that comes twice does no harm."""
        approval = self._acted_on(request, object_id)
        if request.method == "GET":  # whoever had to sign in first comes back like this
            return self._back(approval)
        if not operator_words.may_pass_on(approval):
            return self._back(approval, request, "There is no answer that the workflow does not have.")
        if request.POST.get("decision_id") != approval.decision_id:
            return self._back(approval, request, "There is another answer meanwhile. Look again.")

        def pass_on() -> str:
            audit.entries.add(entry("had the answer passed on again", approval, by=user_of(request)))
            queue.send_answer(approval.approval_id)
            return "The answer is on its way to the workflow."

        self._do(request, pass_on)
        return self._back(approval)

    def set_aside_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Take one that is over from the list of those that hang: somebody has looked after it."""
        approval = self._acted_on(request, object_id)
        if request.method == "GET":  # whoever had to sign in first comes back like this
            return self._back(approval)
        if not operator_words.may_set_aside(approval):
            return self._back(approval, request, "There is nothing to set aside.")

        def set_aside() -> str:
            deciding.set_aside(approval.approval_id, by=user_of(request), now=datetime.now(UTC))
            return "It is not among those that are stuck any more."

        self._do(request, set_aside)
        return self._back(approval)

    def _acted_on(self, request: HttpRequest, object_id: str) -> Approval:
        """Return the approval that an act is about, to somebody who may act."""
        if not self.may_act(request):
            raise PermissionDenied
        approval = self.find(unquote(object_id))
        if approval is None:
            raise Http404("There is no such approval.")
        return approval

    def _do(self, request: HttpRequest, act: Callable[[], str], form: forms.Form | None = None) -> bool:
        """Do something and say what came of it: what is refused beside the first field of a form, where there is one.
        Return whether the page is to be left."""
        try:
            said = act()
        except (deciding.Refused, mailing.TooSoon) as refused:
            if form is not None and not isinstance(refused, deciding.AlreadyOver):
                form.add_error(form.visible_fields()[0].name, refused.sentence)
                return False
            self.message_user(request, refused.sentence, messages.WARNING)
        except Exception as error:
            if not aws.is_transient(error):
                raise
            unsure = "A service did not answer. Look below whether it was done, and do it again if it was not."
            self.message_user(request, unsure, messages.ERROR)
        else:
            self.message_user(request, said, messages.SUCCESS)
        return True

    def _ask(
        self,
        request: HttpRequest,
        approval: Approval,
        form: forms.Form,
        act: str,
        says: list[str],
        button: str,
        *,
        is_danger: bool = False,
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": f"{act}: {approval.called}",
            "opts": self.opts,
            "approval": approval,
            "approval_url": self.url(approval),
            "act": act,
            "says": says,
            "button": button,
            "is_danger": is_danger,
            "form": form,
            "media": self.media,
        }
        status = 422 if form.is_bound else 200
        return TemplateResponse(request, "admin/approvals/approval/act.html", context, status=status)

    def _back(self, approval: Approval, request: HttpRequest | None = None, warning: str = "") -> HttpResponse:
        if request and warning:
            self.message_user(request, warning, messages.WARNING)
        return HttpResponseRedirect(self.url(approval))


def _are_resent_since(shown_at: str, approval: Approval) -> bool:
    """Tell whether somebody has had the mails sent again since a page was shown, or nobody knows since when that is."""
    entries = audit.of_object(audit_name(approval.approval_id), limit=20).records
    return not _MOMENT.fullmatch(shown_at) or any(
        one.action == RESENT and instant(one.at) > shown_at for one in entries
    )


def user_of(request: HttpRequest) -> User:
    return cast(User, request.user)
