from django.urls import path

from portal.accounts import profile, views

app_name = "accounts"
urlpatterns = [
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-in/code/", views.SignInCode.as_view(), name="sign-in-code"),
    path("sign-in/new-password/", views.SignInNewPassword.as_view(), name="sign-in-new-password"),
    path("sign-in/two-factor/", views.SignInTwoFactor.as_view(), name="sign-in-two-factor"),
    path("sign-up/", views.SignUp.as_view(), name="sign-up"),
    path("sign-up/confirm/", views.SignUpConfirm.as_view(), name="sign-up-confirm"),
    path("sign-up/confirm/resend/", views.resend_code, name="resend-code"),
    path("forgot-password/", views.ForgotPassword.as_view(), name="forgot-password"),
    path("forgot-password/confirm/", views.ForgotPasswordConfirm.as_view(), name="forgot-password-confirm"),
    path("sign-out/", views.sign_out, name="sign-out"),
    path("profile/", profile.Profile.as_view(), name="profile"),
    path("profile/password/", profile.ChangePassword.as_view(), name="change-password"),
    path("profile/two-factor/", profile.TwoFactor.as_view(), name="two-factor"),
]
