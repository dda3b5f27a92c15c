"""The other ways in: the hosted UI, the company's SAML assertion, another system's word."""
