from django.urls import path

from portal.accounts import aws_access, profile, signed_in, two_factor, views
from portal.accounts.doors import arrival_views, connections, hosted_views, saml_views, vouched_views

app_name = "accounts"
urlpatterns = [
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-in/code/", views.SignInCode.as_view(), name="sign-in-code"),
    path("sign-in/choose/", views.SignInChoose.as_view(), name="sign-in-choose"),
    path("sign-in/new-password/", views.SignInNewPassword.as_view(), name="sign-in-new-password"),
    path("sign-in/two-factor/", views.SignInTwoFactor.as_view(), name="sign-in-two-factor"),
    path("sign-in/hosted/", hosted_views.start, name="hosted"),
    path("sign-in/hosted/callback/", hosted_views.callback, name="hosted-callback"),
    path("sign-in/saml/", saml_views.start, name="saml"),
    path("sign-in/saml/acs/", saml_views.acs, name="saml-acs"),
    path("sign-in/saml/metadata/", saml_views.metadata, name="saml-metadata"),
    path("sign-in/vouched/", vouched_views.vouch, name="vouched"),
    path("sign-in/arrival/", arrival_views.arrive, name="arrival"),
    path("sign-up/", views.SignUp.as_view(), name="sign-up"),
    path("sign-up/confirm/", views.SignUpConfirm.as_view(), name="sign-up-confirm"),
    path("sign-up/confirm/resend/", views.resend_code, name="resend-code"),
    path("forgot-password/", views.ForgotPassword.as_view(), name="forgot-password"),
    path("forgot-password/confirm/", views.ForgotPasswordConfirm.as_view(), name="forgot-password-confirm"),
    path("sign-out/", views.sign_out, name="sign-out"),
    path("profile/", profile.Profile.as_view(), name="profile"),
    path("profile/password/", profile.ChangePassword.as_view(), name="change-password"),
    path("profile/two-factor/", two_factor.TwoFactor.as_view(), name="two-factor"),
    path("profile/two-factor/app/", two_factor.App.as_view(), name="two-factor-app"),
    path("profile/two-factor/phone/", two_factor.Phone.as_view(), name="two-factor-phone"),
    path("profile/two-factor/off/<slug:which>/", two_factor.TurnOff.as_view(), name="two-factor-off"),
    path("profile/sessions/", signed_in.SignedIn.as_view(), name="sessions"),
    path("profile/sessions/end/", signed_in.end, name="end-session"),
    path("profile/sessions/end-others/", signed_in.end_others, name="end-other-sessions"),
    path("profile/sessions/end-all/", signed_in.end_all, name="end-all-sessions"),
    path("profile/connections/", connections.Connections.as_view(), name="connections"),
    path("profile/connections/join/", connections.Join.as_view(), name="join"),
    path("profile/connections/connect/", connections.connect, name="connect"),
    path("profile/connections/disconnect/", connections.disconnect, name="disconnect"),
    path("aws-access/", aws_access.AwsAccess.as_view(), name="aws-access"),
    path("aws-access/end/", aws_access.EndNow.as_view(), name="aws-access-end"),
]
