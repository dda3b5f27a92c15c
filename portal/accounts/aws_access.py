"""AWS access: a person's own credentials for their console, their shell and their programs, and the end of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.generic import TemplateView, View

from portal.accounts import command_line, console, credentials, iam, issued, people, refusals, revocation, session
from portal.accounts.profile import OwnAccount

CONSOLE, SHELL, FILE = "console", "shell", "file"


class IssueForm(forms.Form):
    role = forms.CharField(max_length=2048)
    form = forms.ChoiceField(
        choices=[(CONSOLE, "the console"), (SHELL, "environment variables"), (FILE, "credential_process")]
    )


@method_decorator(never_cache, name="dispatch")
class AwsAccess(OwnAccount, TemplateView):
    """What somebody may take. A POST answers with it, once: it is in that answer and nowhere else."""

    template_name = "accounts/aws_access.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        now = datetime.now(UTC)
        taken, end = issued.recent(self.user.sub, now=now)
        person = people.find(self.user.sub)
        return super().get_context_data(
            roles=iam.describe(credentials.roles(self.user)),
            taken=taken,
            end=end,
            identity_id=person.identity_id if person else "",
            bucket=settings.DOCUMENTS_BUCKET,
            table=settings.TABLES["documents"],
            has_id_token=session.id_token(self.request) is not None,
            region=settings.AWS_REGION,
            endpoint=settings.LOCAL_CLOUD,
            api_url=settings.PORTAL_URL + reverse("api:aws-credentials"),
            **kwargs,
        )

    @sensitive_variables()
    def post(self, request: HttpRequest) -> HttpResponse:
        asked = IssueForm(request.POST)
        if not asked.is_valid():
            raise BadRequest
        arn, form = asked.cleaned_data["role"], asked.cleaned_data["form"]
        if arn not in credentials.roles(self.user):
            raise PermissionDenied
        [role] = iam.describe([arn])
        now = datetime.now(UTC)
        try:
            given, identity_id = credentials.fresh(request, role_arn=arn)
        except refusals.IdentityInUse as error:
            messages.error(request, str(error))
            return redirect("accounts:aws-access")
        context: dict[str, Any] = {"role": role, "form": form, "expires_at": given.expires_at}
        context |= {"region": settings.AWS_REGION, "endpoint": settings.LOCAL_CLOUD}
        context |= {"identity_id": identity_id, "bucket": settings.DOCUMENTS_BUCKET}
        match form:
            case "console":
                context |= {"url": console.sign_in_url(given), "minutes": console.LINK_MINUTES}
            case "shell":
                context["shells"] = command_line.shells(given)
            case "file":
                context["json"] = command_line.credential_process(given)
        # Before it is shown: what cannot be written down is not given.
        in_words = dict(asked.fields["form"].choices)[form]  # type: ignore[attr-defined]
        issued.record(self.user, given, role=role.name, form=in_words, now=now)
        return TemplateResponse(request, "accounts/aws_access_issued.html", context)


class EndNow(OwnAccount, View):
    """End all that was given so far. Who is signed in can take new credentials at once."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        ended = revocation.end(self.user.sub, self.user.username, by=self.user)
        if ended.effective_at:
            messages.success(request, "Your AWS access so far is ended.")
        else:
            messages.warning(request, "Your AWS access so far is being ended. It was not seen to be in effect yet.")
        return redirect("accounts:aws-access")
