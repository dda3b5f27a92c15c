// A page that shows a secret once: reloading it asks for the page before, not for another secret, and copying works.

history.replaceState(null, "", location.href);
for (const copier of document.querySelectorAll("[data-copy]")) copier.hidden = false;
